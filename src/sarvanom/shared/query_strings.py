"""From a raw query string to a list that has been validated against its resource."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.shared.queries import (
    Condition,
    ListParams,
    ListQuery,
    Operator,
    Order,
    encode_query,
    list_params,
    sort_text,
)
from sarvanom.shared.resources import ColumnKind, ColumnValue, Resource
from sarvanom.shared.validation import field_errors

_MAX_PARAMETERS: Final = 200
_MAX_REMEMBERED_BYTES: Final = 512
_REPEATABLE: Final = tuple(f"__{operator}" for operator in (Operator.ONE_OF, Operator.CONTAINS))


def parse_query(resource: Resource[Any], query_string: bytes) -> ListQuery:
    """Return the list that a raw query string asks for.

    Raises:
        ValidationFailed: a parameter is unknown, given twice, or has a value out of its range.
    """
    if len(query_string) > _MAX_REMEMBERED_BYTES:
        return _parse(resource, query_string)
    return _parse_cached(resource, query_string)


def build_query(
    resource: Resource[Any],
    pagination: PaginationParams | None = None,
    filters: FilterParams | None = None,
) -> ListQuery:
    """Return the list that these parameters ask for; the same rules hold as over HTTP."""
    return parse_query(resource, encode_query(pagination, filters).encode())


@lru_cache(maxsize=1024)
def _parse_cached(resource: Resource[Any], query_string: bytes) -> ListQuery:
    return _parse(resource, query_string)


def _parse(resource: Resource[Any], query_string: bytes) -> ListQuery:
    params = parse_parameters(list_params(resource), query_string)
    orders = _parse_sort(resource, params.sort)
    conditions = tuple(_conditions(resource, params))
    is_whole = not params.skip and not params.include_total and params.fields is None
    query = ListQuery(
        conditions=conditions,
        orders=orders,
        limit=params.limit,
        skip=params.skip,
        after=None,
        fields=_parse_fields(resource, params.fields),
        include_total=params.include_total,
        is_bounded=is_whole and _follows_index(resource, conditions, orders),
    )
    return continued(query, params.cursor) if params.cursor is not None else query


def continued(query: ListQuery, cursor: str) -> ListQuery:
    """Return the list from a cursor on; raises `ValidationFailed` if it is none of this list's."""
    return replace(query, after=_parse_cursor(cursor, query.orders))


def parse_parameters[P: BaseModel](model: type[P], query_string: bytes) -> P:
    """Return the parameters that a raw query string gives; raises `ValidationFailed`."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise _refuse(
            "",
            f"The query string is not percent-encoded UTF-8 with at most {_MAX_PARAMETERS} parameters",
        ) from None
    values: dict[str, str | list[str]] = {}
    for name, value in pairs:
        if name.endswith(_REPEATABLE):
            values.setdefault(name, []).append(value)  # type: ignore[union-attr]
        elif name in values:
            raise _refuse(name, "Given more than once")
        else:
            values[name] = value
    return validate_parameters(model, values)


def validate_parameters[P: BaseModel](model: type[P], values: Mapping[str, Any]) -> P:
    """Return the parameters that these values give; raises `ValidationFailed`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValidationFailed("The query parameters are not valid", errors=field_errors(error)) from None


def _conditions(resource: Resource[Any], params: ListParams) -> list[Condition]:
    found = []
    for name in params.model_fields_set:
        field, _, suffix = name.partition("__")
        column = resource.column(field)
        if column is not None:
            value = getattr(params, name)
            stored = [column.stored(item) for item in value] if isinstance(value, list) else column.stored(value)
            found.append(Condition(column, Operator(suffix), stored))
    return sorted(found, key=lambda condition: (condition.column.name, condition.operator))


def _parse_sort(resource: Resource[Any], sort: str | None) -> tuple[Order, ...]:
    """Return the sort keys, the first of each column, up to what makes the order total or with that at the end."""
    orders: dict[str, Order] = {}
    for term in sort.split(",") if sort is not None else ():
        column = resource.column(term.removeprefix("-"))
        if column is None or not column.sortable:
            choices = ", ".join(column.name for column in resource.columns if column.sortable)
            raise _refuse("sort", f"Must be of {choices}, separated by commas, each with - before it for descending")
        if resource.id_field not in orders:
            orders.setdefault(column.name, Order(column, descending=term.startswith("-")))
    descending = bool(orders) and all(order.descending for order in orders.values())
    columns = {column.name: column for column in resource.columns}
    for name in resource.total_order(orders):
        orders.setdefault(name, Order(columns[name], descending))
    return tuple(orders.values())


def _follows_index(resource: Resource[Any], conditions: tuple[Condition, ...], orders: tuple[Order, ...]) -> bool:
    """Tell whether the rows stand in an index just as they are asked for: all, or those of one service by creation.

    What expires does not: any number of rows may have to be passed over.
    """
    names = tuple(order.column.name for order in orders)
    compared = [(condition.column.name, condition.operator) for condition in conditions]
    is_served = not compared or (compared == [("service", Operator.EQUALS)] and names[0] == "created_at")
    runs_one_way = len({order.descending for order in orders}) == 1
    stands_there = is_served and runs_one_way and names == resource.total_order(names[:1])
    return stands_there and resource.lifetime is None


def _parse_fields(resource: Resource[Any], fields: str | None) -> tuple[str, ...] | None:
    if fields is None:
        return None
    names = fields.split(",")
    if not set(names) <= set(resource.model.model_fields):
        raise _refuse(
            "fields",
            f"Must be of {', '.join(resource.model.model_fields)}, separated by commas",
        )
    return tuple(dict.fromkeys((resource.id_field, *names)))


def _parse_cursor(cursor: str, orders: tuple[Order, ...]) -> tuple[ColumnValue, ...]:
    try:
        sort, *last = from_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise _refuse(
            "cursor",
            "Not a cursor; pass next_cursor of the page before as it was given",
        ) from None
    fits = len(last) == len(orders) and all(
        _may_follow(value, order) for value, order in zip(last, orders, strict=False)
    )
    if sort != sort_text(orders) or not fits:
        raise _refuse(
            "cursor",
            "The cursor belongs to a list with another sort; leave one of them out",
        )
    return tuple(last)


def _may_follow(value: object, order: Order) -> bool:
    if order.column.kind is ColumnKind.INTEGER:
        return type(value) is int and -1 <= value <= MAX_INTEGER
    return isinstance(value, str)


def _refuse(field: str, message: str) -> ValidationFailed:
    return ValidationFailed("The query parameters are not valid", errors=[FieldError(field, message)])
