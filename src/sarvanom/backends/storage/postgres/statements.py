"""The statements of a group of reads or writes: whole columns as arrays, so that a group costs what one does."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from sarvanom.backends.storage.log_statements import CHANGE_FIELDS, KEY_FIELDS
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.sql import SQL, render
from sarvanom.backends.storage.statements import live
from sarvanom.backends.storage.tables import CHANGES, COUNTERS, IDEMPOTENCY_KEYS, TABLES
from sarvanom.shared.resources import Resource

CHANNEL: Final = "sarvanom_changes"
_TEXTS: Final = ARRAY(sa.Text)


class GroupStatements(NamedTuple):
    """What a group does with one collection; parameters are arrays, named like the columns, `ids` for the ids.

    `read` selects `fingerprint`, `time`, `id`, `revision`, `created_at`, `body`, `service`, `expires_at` and the unique
    fields. A row with a fingerprint is what is known of one of the idempotency `keys`, which is its `id`.
    """

    read: SQL
    upsert: SQL
    delete: SQL
    insert_tags: dict[str, SQL]
    delete_tags: dict[str, SQL]


@cache
def group_statements(resource: Resource[Any]) -> GroupStatements:
    """Return the statements for one collection."""
    table, tags = TABLES[resource.collection]
    ids = sa.bindparam("ids", type_=_TEXTS)
    return GroupStatements(
        read=_render(_what_decides(resource)),
        upsert=_render(_upsert(table, resource.id_field)),
        delete=_render(sa.delete(table).where(table.c[resource.id_field] == sa.any_(ids))),
        insert_tags={name: _render(_insert_arrays(tag, ["value", "owner"])) for name, tag in tags.items()},
        delete_tags={name: _render(sa.delete(tag).where(tag.c.owner == sa.any_(ids))) for name, tag in tags.items()},
    )


def _what_decides(resource: Resource[Any]) -> sa.ClauseElement:
    """Select the rows that writes are about or that hold unique values, and what is known of their keys."""
    table, known = TABLES[resource.collection].rows, IDEMPOTENCY_KEYS.c
    key, expiry = table.c[resource.id_field], table.c.get("expires_at")
    wanted = {"ids": key} | {name: table.c[name] for name in resource.unique}
    matches = [column == sa.any_(sa.bindparam(name, type_=_TEXTS)) for name, column in wanted.items()]
    of_rows: list[sa.ColumnElement[Any]] = [table.c.service, _null(sa.BigInteger) if expiry is None else expiry]
    of_rows += [table.c[name] for name in resource.unique]
    rows = sa.select(
        _null(sa.LargeBinary), _null(sa.Text), key, table.c.revision, table.c.created_at, table.c.body, *of_rows
    )
    keys = sa.select(
        known.fingerprint, known.time, known.key, known.revision, known.created_at, known.body,
        *(_null(column.type) for column in of_rows),
    )  # fmt: skip
    is_asked_for = known.key == sa.any_(sa.bindparam("keys", type_=_TEXTS))
    return rows.where(sa.or_(*matches)).union_all(keys.where(is_asked_for))


@cache
def read_statement(resource: Resource[Any]) -> SQL:
    """Select the fields of a `Document` of live rows, the body null where it has more than `most` bytes.

    Parameters besides that are `ids`, and `now` for what expires.
    """
    table = TABLES[resource.collection].rows
    key = table.c[resource.id_field]
    body = sa.case((sa.func.octet_length(table.c.body) <= sa.bindparam("most", type_=sa.Integer), table.c.body))
    is_wanted = key == sa.any_(sa.bindparam("ids", type_=_TEXTS))
    columns = [key, table.c.revision, table.c.created_at, body, table.c.service]
    return _render(sa.select(*columns).where(is_wanted, *live(table)))


class InsertStatements(NamedTuple):
    """How rows get into an empty database; parameters are arrays, named like the columns."""

    rows: SQL
    tags: dict[str, SQL]
    entries: SQL


@cache
def insert_statements(resource: Resource[Any]) -> InsertStatements:
    """Return the statements for one collection; a value that is there already is an error."""
    table, tags = TABLES[resource.collection]
    return InsertStatements(
        rows=_render(_insert_arrays(table, [column.name for column in table.columns])),
        tags={name: _render(_insert_arrays(tag, ["value", "owner"])) for name, tag in tags.items()},
        entries=_render(_insert_arrays(CHANGES, CHANGE_FIELDS)),
    )


@cache
def lock_statement() -> SQL:
    """Take a sequence for this transaction alone: its last revision, and the transaction's id for `outcome`."""
    statement = sa.select(COUNTERS.c.value, sa.cast(sa.func.pg_current_xact_id(), sa.Text))
    return _render(statement.where(COUNTERS.c.name == sa.bindparam("counter")).with_for_update())


OUTCOME: Final = SQL("SELECT pg_xact_status($1::TEXT::xid8)", ("transaction",))
"""What became of a transaction: committed, aborted, in progress, or null if that is long forgotten."""
END_BACKEND: Final = SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_xid = $2::TEXT::xid8::xid",
    ("process", "transaction"),
)
"""End the connection that carries out a transaction."""
HAS_CHANGE: Final = SQL(
    "SELECT 1 FROM changes WHERE revision = $1 AND collection = $2 AND id = $3 AND time = $4 AND request_id = $5",
    ("revision", "collection", "id", "time", "request_id"),
)
HAS_KEY: Final = SQL(
    "SELECT 1 FROM idempotency_keys WHERE key = $1 AND fingerprint = $2 AND time = $3 AND revision = $4",
    ("key", "fingerprint", "time", "revision"),
)


@cache
def has_row(resource: Resource[Any]) -> SQL:
    """Select something if a collection has a row as it was put."""
    table = TABLES[resource.collection].rows
    names = ("revision", "updated_at", "body")
    is_it = [table.c[name] == sa.bindparam(name) for name in names]
    return _render(sa.select(sa.literal_column("1")).where(table.c[resource.id_field] == sa.bindparam("id"), *is_it))


@cache
def finish_statement(resource: Resource[Any] | None, *, is_logged: bool) -> SQL:
    """Append to the log and to the keys, put the sequence forward, and tell who listens: one statement for all.

    The rows of a collection are put with them if it is named. Parameters are arrays, named like columns; those of the
    rows begin with `row_`, those of the keys with `key_`. What is null in every row may be null for an array. All has
    happened at the same `moment`. Nobody listens for what is not logged, and telling takes a lock that all commits of
    the database share.
    """
    moment = sa.bindparam("moment", type_=sa.Text)
    parts = [
        _insert_arrays(CHANGES, CHANGE_FIELDS, time=moment).cte("log"),
        _insert_arrays(IDEMPOTENCY_KEYS, KEY_FIELDS, prefix="key_", time=moment).cte("keys"),
    ]
    if resource is not None:
        table = TABLES[resource.collection].rows
        parts.append(_upsert(table, resource.id_field, prefix="row_", updated_at=moment).cte("rows"))
    advance = sa.update(COUNTERS).where(COUNTERS.c.name == sa.bindparam("counter")).values(value=sa.bindparam("amount"))
    if is_logged:
        channel = sa.bindparam("channel", type_=sa.Text)
        advance = advance.returning(sa.func.pg_notify(channel, sa.cast(COUNTERS.c.value, sa.Text)))
    return _render(advance.add_cte(*parts))


def without_nul(values: dict[str, Any]) -> dict[str, Any]:
    """Return values to compare with, without the NUL that PostgreSQL's text cannot hold.

    No stored text has control characters, so another one that sorts there does as well.
    """
    return {
        name: value.replace("\0", "\1") if isinstance(value, str) and "\0" in value else value
        for name, value in values.items()
    }


def _upsert(table: sa.Table, id_field: str, prefix: str = "", **same: sa.ColumnElement[Any]) -> sa.Insert:
    names = [column.name for column in table.columns]
    statement = insert(table).from_select(names, _rows(table, names, prefix, same))
    return statement.on_conflict_do_update(
        index_elements=[id_field], set_={name: statement.excluded[name] for name in names if name != id_field}
    )


def _insert_arrays(table: sa.Table, names: Iterable[str], prefix: str = "", **same: sa.ColumnElement[Any]) -> sa.Insert:
    return sa.insert(table).from_select(list(names), _rows(table, names, prefix, same))


def _rows(
    table: sa.Table, names: Iterable[str], prefix: str, same: Mapping[str, sa.ColumnElement[Any]]
) -> sa.Select[Any]:
    """Select rows out of arrays, one for each column but those that are the same in all rows."""
    return sa.select(*(same[name] if name in same else _unnest(table.c[name], prefix + name) for name in names))


def _unnest(column: sa.Column[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.func.unnest(sa.bindparam(name, type_=ARRAY(_element_type(column))))


def _null(of_type: Any) -> sa.ColumnElement[Any]:
    return sa.cast(sa.null(), of_type)


def _element_type(column: sa.Column[Any]) -> Any:
    match column.type:
        case sa.LargeBinary():
            return sa.LargeBinary
        case sa.BigInteger():
            return sa.BigInteger
        case sa.Integer():
            return sa.Integer
        case _:
            return sa.Text


def _render(statement: sa.ClauseElement) -> SQL:
    return render(statement, DIALECT)
