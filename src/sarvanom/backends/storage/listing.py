"""The statements of lists: one text for each shape of query, the values bound by name.

A page is found by keyset: the rows after the last one of the page before, in a total order
(https://use-the-index-luke.com/no-offset).
"""

from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from sarvanom.backends.storage.sql import SQL, render
from sarvanom.backends.storage.statements import live
from sarvanom.backends.storage.tables import TABLES, sort_expression
from sarvanom.shared.queries import Condition, ListQuery, Operator, Order
from sarvanom.shared.resources import Column, Resource

_LAST_CODE_POINT = "\U0010ffff"
_BEYOND_ALL_TEXT = _LAST_CODE_POINT * 4097  # no searchable field takes more than 4096 characters


class Statement(NamedTuple):
    """A statement and the values of its parameters."""

    sql: SQL
    values: dict[str, Any]


class _Shape(NamedTuple):
    """What a statement's text depends on; equal shapes share one text."""

    conditions: tuple[tuple[Column, Operator, int], ...]
    orders: tuple[Order, ...]
    is_continued: bool
    limit: int | None = None


def page_statement(resource: Resource[Any], query: ListQuery, dialect: Dialect, now: int) -> Statement:
    """Select `body` and the sort values of one item more than the page holds, so that its end is known."""
    after = {f"after_{index}": value for index, value in enumerate(query.after or ())}
    values = {
        **_values(query.conditions),
        **after,
        "now": now,
        "limit": query.limit + 1,
        "skip": query.skip,
    }
    shape = _shape(query)
    if dialect.name == "postgresql":
        # With a limit that it knows, the server plans for the first rows, also where it plans once for all values.
        shape = shape._replace(limit=query.limit + 1)
    return Statement(_page_text(resource, shape, dialect), values)


def count_statement(resource: Resource[Any], query: ListQuery, dialect: Dialect, now: int) -> Statement:
    """Count what matches on all pages."""
    shape = _shape(query)._replace(orders=(), is_continued=False)
    return Statement(_count_text(resource, shape, dialect), {**_values(query.conditions), "now": now})


def delete_statement(
    resource: Resource[Any],
    conditions: tuple[Condition, ...],
    dialect: Dialect,
    now: int,
) -> Statement:
    """Delete the live rows that match."""
    shape = _Shape(_condition_shapes(conditions), (), is_continued=False)
    return Statement(_delete_text(resource, shape, dialect), {**_values(conditions), "now": now})


def _shape(query: ListQuery) -> _Shape:
    return _Shape(_condition_shapes(query.conditions), query.orders, query.after is not None)


def _condition_shapes(
    conditions: tuple[Condition, ...],
) -> tuple[tuple[Column, Operator, int], ...]:
    return tuple((condition.column, condition.operator, len(_items(condition))) for condition in conditions)


@lru_cache(maxsize=512)
def _page_text(resource: Resource[Any], shape: _Shape, dialect: Dialect) -> SQL:
    table = TABLES[resource.collection].rows
    keys = [sort_expression(table, order.column) for order in shape.orders]
    statement = (
        sa.select(table.c.body, *keys)
        .where(*live(table), *_clauses(resource, shape))
        .order_by(*(key.desc() if order.descending else key for key, order in zip(keys, shape.orders, strict=True)))
        .limit(sa.bindparam("limit") if shape.limit is None else sa.literal_column(str(shape.limit)))
        .offset(sa.bindparam("skip"))
    )
    if shape.is_continued:
        statement = statement.where(_after(keys, shape.orders))
    return render(statement, dialect)


@lru_cache(maxsize=512)
def _count_text(resource: Resource[Any], shape: _Shape, dialect: Dialect) -> SQL:
    table = TABLES[resource.collection].rows
    return render(
        sa.select(sa.func.count()).select_from(table).where(*live(table), *_clauses(resource, shape)),
        dialect,
    )


@lru_cache(maxsize=512)
def _delete_text(resource: Resource[Any], shape: _Shape, dialect: Dialect) -> SQL:
    table = TABLES[resource.collection].rows
    return render(sa.delete(table).where(*live(table), *_clauses(resource, shape)), dialect)


def _after(keys: list[sa.ColumnElement[Any]], orders: tuple[Order, ...]) -> sa.ColumnElement[bool]:
    """Compare with the last row: as one row value where all keys run one way, so that an index serves, else by key."""
    last = [sa.bindparam(f"after_{index}", type_=key.type) for index, key in enumerate(keys)]
    if len({order.descending for order in orders}) == 1:
        left, right = sa.tuple_(*keys), sa.tuple_(*last)
        beyond_last = left < right if orders[0].descending else left > right
        if not orders[0].column.nullable:
            return beyond_last
        # SQLite finds no index by a row value that begins with an expression.
        return sa.and_(keys[0] <= last[0] if orders[0].descending else keys[0] >= last[0], beyond_last)
    clause: sa.ColumnElement[bool] = sa.false()
    for key, value, order in reversed(list(zip(keys, last, orders, strict=True))):
        beyond = key < value if order.descending else key > value
        clause = sa.or_(beyond, sa.and_(key == value, clause))
    return clause


def _clauses(resource: Resource[Any], shape: _Shape) -> list[sa.ColumnElement[bool]]:
    return [
        _clause(
            resource,
            column,
            operator,
            [f"value_{index}_{item}" for item in range(count)],
        )
        for index, (column, operator, count) in enumerate(shape.conditions)
    ]


def _clause(resource: Resource[Any], column: Column, operator: Operator, names: list[str]) -> sa.ColumnElement[bool]:
    rows, tags = TABLES[resource.collection]
    if operator is Operator.CONTAINS:
        tag, key = tags[column.name], rows.c[resource.id_field]
        owners = [sa.select(tag.c.owner).where(tag.c.value == sa.bindparam(name)) for name in names]
        return sa.and_(sa.true(), *(key.in_(owner) for owner in owners))
    stored = rows.c[column.name]
    values = [sa.bindparam(name, type_=stored.type) for name in names]
    match operator:
        case Operator.ONE_OF:
            return sa.or_(sa.false(), *(stored == value for value in values))
        case Operator.STARTS_WITH:
            return sa.and_(stored >= values[0], stored < values[1])
        case Operator.AT_LEAST:
            return stored >= values[0]
        case Operator.AT_MOST:
            return stored <= values[0]
        case _ if column.nullable and column.sortable:
            # The index holds a number for null, which nobody asks for by what is stored.
            return sa.and_(sort_expression(rows, column) == values[0], stored == values[0])
        case _:
            return stored == values[0]


def _values(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    return {
        f"value_{index}_{item}": value
        for index, condition in enumerate(conditions)
        for item, value in enumerate(_items(condition))
    }


def _items(condition: Condition) -> list[Any]:
    """Return the values that a condition binds; a prefix is a range."""
    if condition.operator is Operator.STARTS_WITH:
        return [condition.value, _successor(condition.value)]
    return condition.value if isinstance(condition.value, list) else [condition.value]


def _successor(prefix: str) -> str:
    """Return the first text in code point order that is greater than every text with this prefix."""
    stem = prefix.rstrip(_LAST_CODE_POINT)
    if not stem:
        return _BEYOND_ALL_TEXT
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)  # UTF-8 has no surrogates
