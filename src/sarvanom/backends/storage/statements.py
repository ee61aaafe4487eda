"""The statements, written once with SQLAlchemy Core and compiled to text for a driver, which executes them."""

import operator
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from sarvanom.backends.storage.sql import SQL, render
from sarvanom.backends.storage.tables import COUNTERS, TABLES
from sarvanom.shared.resources import ColumnKind, Resource


class ResourceStatements(NamedTuple):
    """What is done with one row; parameters are named like the columns, `id` for the id."""

    read: SQL
    current: SQL
    insert: SQL
    update: SQL
    delete: SQL
    insert_tag: dict[str, SQL]
    delete_tags: dict[str, SQL]


class CounterStatements(NamedTuple):
    """What is done with the store's counters; parameters are `counter` and `amount`."""

    read: SQL
    put: SQL
    add: SQL


@cache
def resource_statements(resource: Resource[Any], dialect: Dialect) -> ResourceStatements:
    """Return the statements for one collection; `read` sees live rows only, `current` also expired ones."""
    table, tags = TABLES[resource.collection]
    is_it = table.c[resource.id_field] == sa.bindparam("id")
    names = [column.name for column in table.columns]
    columns = [table.c.revision, table.c.created_at, table.c.body, table.c.service]
    expiry = table.c.get("expires_at")
    current = sa.select(*columns, expiry if expiry is not None else sa.null()).where(is_it)
    settable: dict[str, Any] = {
        name: sa.bindparam(name) for name in names if name not in (resource.id_field, "created_at")
    }
    return ResourceStatements(
        read=render(sa.select(*columns).where(is_it, *live(table)), dialect),
        current=render(current, dialect),
        insert=render(
            sa.insert(table).values({name: sa.bindparam(name) for name in names}),
            dialect,
        ),
        update=render(sa.update(table).where(is_it).values(settable), dialect),
        delete=render(sa.delete(table).where(is_it), dialect),
        insert_tag={
            name: render(
                sa.insert(tag).values(value=sa.bindparam("value"), owner=sa.bindparam("id")),
                dialect,
            )
            for name, tag in tags.items()
        },
        delete_tags={
            name: render(sa.delete(tag).where(tag.c.owner == sa.bindparam("id")), dialect) for name, tag in tags.items()
        },
    )


@cache
def counter_statements(dialect: Dialect) -> CounterStatements:
    """Return the statements for the counters."""
    is_it = COUNTERS.c.name == sa.bindparam("counter")
    return CounterStatements(
        read=render(sa.select(COUNTERS.c.value).where(is_it), dialect),
        put=render(
            sa.update(COUNTERS).where(is_it).values(value=sa.bindparam("amount")),
            dialect,
        ),
        add=render(
            sa.update(COUNTERS).where(is_it).values(value=COUNTERS.c.value + sa.bindparam("amount")),
            dialect,
        ),
    )


def live(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    """Return the condition that a row's time has not run out at the moment `now` (ms since 1970)."""
    if "expires_at" not in table.c:
        return []
    return [sa.or_(table.c.expires_at.is_(None), table.c.expires_at > sa.bindparam("now"))]


class RowValues:
    """Turns an item into the values of its row; made once for a resource."""

    def __init__(self, resource: Resource[Any]) -> None:
        scalars = [
            column
            for column in resource.columns
            if column.kind is not ColumnKind.TAGS and column.name not in resource.model.stamped_fields
        ]
        self.names = tuple(column.name for column in scalars)
        """Of the searchable columns, but for the server's."""
        self._read = operator.attrgetter(*self.names)
        self._converted = [
            (index, column)
            for index, column in enumerate(scalars)
            if column.unique or column.kind is ColumnKind.TIMESTAMP
        ]
        self._tags = [column for column in resource.columns if column.kind is ColumnKind.TAGS]

    def scalars(self, item: Any) -> dict[str, Any]:
        """Return the values of the searchable columns, but for the server's."""
        return dict(zip(self.names, self.in_order(item), strict=True))

    def in_order(self, item: Any) -> Sequence[Any]:
        """Return the same values without their names, in the order of the table's columns, where they come first."""
        values: tuple[Any, ...] = self._read(item)
        if not self._converted:
            return values
        converted = list(values)
        for index, column in self._converted:
            converted[index] = column.stored(converted[index])
        return converted

    def tags(self, item: Any) -> dict[str, Sequence[str]]:
        """Return the distinct tags of each tag column."""
        return {column.name: list(dict.fromkeys(getattr(item, column.name))) for column in self._tags}


@cache
def row_columns(resource: Resource[Any]) -> tuple[str, ...]:
    """Return the names of the columns of a resource's table."""
    return tuple(column.name for column in TABLES[resource.collection].rows.columns)


@lru_cache
def row_values(resource: Resource[Any]) -> RowValues:
    """Return the resource's `RowValues`."""
    return RowValues(resource)


@cache
def stats_statement(resource: Resource[Any], dialect: Dialect) -> SQL:
    """Count the live rows and the bytes of their bodies."""
    table = TABLES[resource.collection].rows
    size = sa.func.coalesce(sa.func.sum(sa.func.length(table.c.body)), sa.literal_column("0"))
    return render(sa.select(sa.func.count(), size).select_from(table).where(*live(table)), dialect)
