"""The tables, derived from the declarations of the resources."""

from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from sarvanom.shared.resources import STORED, Column, ColumnKind, Resource

UNKNOWN_NUMBER: Final = -1
"""What a missing number sorts as."""

TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text in the order of code points, which SQLite's bytes in UTF-8 have by themselves."""
INTEGER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_TYPES: Final[dict[ColumnKind, Any]] = {
    ColumnKind.TEXT: TEXT,
    ColumnKind.INTEGER: INTEGER,
    ColumnKind.BOOLEAN: sa.Integer(),
    ColumnKind.TIMESTAMP: TEXT,
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
            ties = [table.c[name] for name in resource.total_order([column.name])[1:]]
            sa.Index(f"ix_{table.name}_{column.name}", sort_expression(table, column), *ties)
    return ResourceTables(
        table,
        {c.name: _tag_table(metadata, key, c) for c in resource.columns if c not in scalars},
    )


def _tag_table(metadata: sa.MetaData, key: sa.Column[Any], column: Column) -> sa.Table:
    owner = sa.ForeignKey(key, ondelete="CASCADE")
    return sa.Table(
        f"{key.table.name}_{column.name}",
        metadata,
        sa.Column("value", TEXT, primary_key=True),
        sa.Column("owner", TEXT, owner, primary_key=True, index=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


METADATA: Final = sa.MetaData()
COUNTERS: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("value", INTEGER, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
CHANGES: Final = sa.Table(
    "changes",
    METADATA,
    sa.Column("revision", INTEGER, primary_key=True, autoincrement=False),
    sa.Column("collection", TEXT, nullable=False),
    sa.Column("id", TEXT, nullable=False),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("service", TEXT, nullable=False),
    sa.Column("left_service", TEXT),
    sa.Column("actor", TEXT),
    sa.Column("request_id", TEXT, nullable=False),
    sa.Column("time", TEXT, nullable=False),
    sa.Column("previous", INTEGER),
    sa.Column("reverts", INTEGER),
    sa.Column("body", sa.LargeBinary),
    sa.Index("ix_changes_collection", "collection", "id", "revision"),
    sqlite_strict=True,
)
IDEMPOTENCY_KEYS: Final = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("number", INTEGER, primary_key=True),
    sa.Column("key", TEXT, nullable=False, unique=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("time", TEXT, nullable=False),
    sa.Column("revision", INTEGER, nullable=False),
    sa.Column("created_at", TEXT),
    sa.Column("body", sa.LargeBinary),
    sqlite_strict=True,
)
TABLES: Final = {resource.collection: _resource_tables(METADATA, resource) for resource in STORED}

SEQUENCES: Final = tuple(dict.fromkeys(resource.sequence for resource in STORED))
EXPORTED_SEQUENCES: Final = tuple(dict.fromkeys(resource.sequence for resource in STORED if not resource.is_private))
LOGGED_SEQUENCE: Final = next(resource.sequence for resource in STORED if resource.is_logged)
COUNTER_NAMES: Final = (*SEQUENCES, "floor", "hits", "misses", "expirations")
"""The rows of `counters`: the last revision of each sequence, the log's floor, and what `CacheStats` counts."""
