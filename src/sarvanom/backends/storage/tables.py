"""The tables, derived from the declarations of the resources."""

from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from sarvanom.shared.resources import RESOURCES, Column, ColumnKind, Resource

UNKNOWN_NUMBER: Final = -1
"""What a missing number sorts as."""

_TYPES: Final[dict[ColumnKind, Any]] = {
    ColumnKind.TEXT: sa.Text,
    ColumnKind.INTEGER: sa.BigInteger().with_variant(sa.Integer, "sqlite"),
    ColumnKind.BOOLEAN: sa.Integer,
    ColumnKind.TIMESTAMP: sa.Text,
}


class ResourceTables(NamedTuple):
    """Where one collection is kept: a row a resource, and a row for each of its tags."""

    rows: sa.Table
    tags: dict[str, sa.Table]


def sort_expression(table: sa.Table, column: Column) -> sa.ColumnElement[Any]:
    """Return what a list is ordered by: the column, or a number below all others where it is null."""
    stored = table.c[column.name]
    return sa.func.coalesce(stored, sa.literal_column(str(UNKNOWN_NUMBER))) if column.nullable else stored


def _resource_tables(metadata: sa.MetaData, resource: Resource[Any]) -> ResourceTables:
    scalars = [column for column in resource.columns if column.kind is not ColumnKind.TAGS]
    table = sa.Table(
        resource.collection,
        metadata,
        *(
            sa.Column(
                column.name,
                _TYPES[column.kind],
                primary_key=column.name == resource.id_field,
                nullable=column.nullable,
                unique=column.unique or None,
                autoincrement=False,
            )
            for column in scalars
        ),
        *(
            [sa.Column("expires_at", _TYPES[ColumnKind.INTEGER], nullable=True, index=True)]
            if resource.lifetime
            else []
        ),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    key = table.c[resource.id_field]
    for column in scalars:
        if (column.sortable or column.name == "service") and not column.unique and column.name != resource.id_field:
            sa.Index(f"ix_{table.name}_{column.name}", sort_expression(table, column), key)
    return ResourceTables(
        table,
        {c.name: _tag_table(metadata, key, c) for c in resource.columns if c not in scalars},
    )


def _tag_table(metadata: sa.MetaData, key: sa.Column[Any], column: Column) -> sa.Table:
    owner = sa.ForeignKey(key, ondelete="CASCADE")
    return sa.Table(
        f"{key.table.name}_{column.name}",
        metadata,
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, owner, primary_key=True, index=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


METADATA: Final = sa.MetaData()
COUNTERS: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", _TYPES[ColumnKind.INTEGER], nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
TABLES: Final = {resource.collection: _resource_tables(METADATA, resource) for resource in RESOURCES}
