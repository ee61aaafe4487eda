"""The parameters of a list: typed from a resource's declaration, encoded as a query string, paged by keyset cursors."""

import base64
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode

from pydantic import BeforeValidator, Field, create_model
from pydantic_core import PydanticCustomError, to_json

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.crud_models import (
    FilterParams,
    FilterValue,
    PaginationParams,
)
from sarvanom.shared.models.fields import QueryBool, QueryInt, QueryItem, QueryText, QueryTime
from sarvanom.shared.resources import Column, ColumnKind, ColumnValue, Resource


class Operator(StrEnum):
    """How a condition compares; the value is the suffix of the query parameter."""

    EQUALS = ""
    AT_LEAST = "gte"
    AT_MOST = "lte"
    ONE_OF = "in"
    STARTS_WITH = "prefix"
    CONTAINS = "contains"


OPERATORS: Final = {
    ColumnKind.TEXT: (Operator.EQUALS, Operator.ONE_OF, Operator.STARTS_WITH),
    ColumnKind.INTEGER: (
        Operator.EQUALS,
        Operator.ONE_OF,
        Operator.AT_LEAST,
        Operator.AT_MOST,
    ),
    ColumnKind.BOOLEAN: (Operator.EQUALS,),
    ColumnKind.TIMESTAMP: (Operator.AT_LEAST, Operator.AT_MOST),
    ColumnKind.TAGS: (Operator.CONTAINS,),
}


class Condition(NamedTuple):
    """One condition; `value` is a list for `ONE_OF` (any of them) and `CONTAINS` (all of them)."""

    column: Column
    operator: Operator
    value: Any


class Order(NamedTuple):
    """One sort key."""

    column: Column
    descending: bool


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list that has been validated against its resource.

    `orders` ends in the id, which makes the order total; `after` holds one value per order: the last item of the page
    before. `fields` are those an item is cut down to, or None for whole items. A list `is_bounded` if an index alone
    yields a page of it, so that its cost does not grow with the collection.
    """

    conditions: tuple[Condition, ...]
    orders: tuple[Order, ...]
    limit: int
    skip: int
    after: tuple[ColumnValue, ...] | None
    fields: tuple[str, ...] | None
    include_total: bool
    is_bounded: bool = False

    def cursor(self, last: Sequence[ColumnValue]) -> str:
        """Return the cursor of the page that follows an item with these sort values."""
        return base64.urlsafe_b64encode(to_json([sort_text(self.orders), *last])).decode().rstrip("=")


class ListParams(PaginationParams):
    """The query parameters of a list over HTTP."""

    fields: Annotated[str, Field(max_length=1024)] | None = None
    """Cut items down to these fields, comma separated; the id is always there."""


def encode_query(pagination: PaginationParams | None = None, filters: FilterParams | None = None) -> str:
    """Return the parameters as a query string: what a client sends.

    Raises:
        ValidationFailed: a filter has the name of another parameter, or a text that UTF-8 cannot carry.
    """
    pairs: list[tuple[str, str]] = []
    if pagination is not None:
        pairs += [(name, _text(value)) for name, value in pagination.model_dump(exclude_defaults=True).items()]
    for name, value in filters.conditions.items() if filters is not None else ():
        if name in ListParams.model_fields:
            raise _refuse(name, "Is no filter but a parameter of the page")
        pairs += _filter_pairs(name, value)
    try:
        return urlencode(pairs)
    except UnicodeEncodeError:
        raise _refuse("", "Text must be Unicode without lone surrogates") from None


def _filter_pairs(name: str, value: FilterValue) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        return [(name, _text(value))]
    if name.endswith(f"__{Operator.ONE_OF}"):
        return [(name, ",".join(_quoted(_text(item)) for item in value))]
    return [(name, _text(item)) for item in value]


def _refuse(field: str, message: str) -> ValidationFailed:
    return ValidationFailed("The filters are not valid", errors=[FieldError(field, message)])


@lru_cache
def list_params(resource: Resource[Any]) -> type[ListParams]:
    """Return the model of the resource's query parameters, which also draws them in OpenAPI."""
    sortable = "|".join(column.name for column in resource.columns if column.sortable)
    fields = "|".join(resource.model.model_fields)
    parameters: dict[str, Any] = {
        "cursor": _parameter("cursor", str, max_length=4096),
        "sort": _parameter("sort", str, schema={"pattern": f"^-?({sortable})(,-?({sortable}))*$"}, max_length=255),
        "fields": _parameter("fields", str, schema={"pattern": f"^({fields})(,({fields}))*$"}, max_length=1024),
    }
    for column in resource.columns:
        if column.filterable:
            for operator in OPERATORS[column.kind]:
                name = f"{column.name}__{operator}" if operator else column.name
                parameters[name] = _parameter(name, _parameter_type(column.kind, operator))
    return create_model(f"{resource.model.__name__}ListParams", __base__=ListParams, **parameters)


def _parameter(name: str, annotation: Any, *, schema: dict[str, Any] | None = None, **constraints: Any) -> Any:
    """Return a parameter that may be left out, which its schema says by having no default and no null."""

    def describe(described: dict[str, Any]) -> None:
        described.pop("default", None)
        described |= schema or {}

    known = ListParams.model_fields.get(name)
    description = known.description if known is not None else None
    return (annotation, Field(default=None, description=description, json_schema_extra=describe, **constraints))


def sort_text(orders: tuple[Order, ...]) -> str:
    """Return sort keys as the `sort` parameter that stands for them, the id at the end included."""
    return ",".join("-" * order.descending + order.column.name for order in orders)


def _text(value: FilterValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _quoted(value: str) -> str:
    needs_quotes = not value or any(mark in value for mark in ',"\r\n')
    return '"' + value.replace('"', '""') + '"' if needs_quotes else value


def _split(values: list[str]) -> list[str]:
    """Split comma separated values; one that is empty or holds a comma stands in double quotes (RFC 4180)."""
    try:
        return [item for value in values for row in csv.reader([value], strict=True) for item in row]
    except csv.Error as error:
        raise PydanticCustomError("query_list", "Must be comma separated values (RFC 4180)") from error


_SCALARS: Final = {
    ColumnKind.TEXT: QueryText,
    ColumnKind.INTEGER: QueryInt,
    ColumnKind.BOOLEAN: QueryBool,
    ColumnKind.TIMESTAMP: QueryTime,
    ColumnKind.TAGS: QueryText,
}


def _parameter_type(kind: ColumnKind, operator: Operator) -> Any:
    scalar: Any = _SCALARS[kind]
    if operator is Operator.ONE_OF:
        scalar = QueryItem if kind is ColumnKind.TEXT else scalar
        return Annotated[list[scalar], BeforeValidator(_split), Field(max_length=100)]
    if operator is Operator.CONTAINS:
        return Annotated[list[scalar], Field(max_length=64)]
    return scalar
