"""The statements of a group of reads or writes: whole columns as arrays, so that a group costs what one does."""

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

    `read` selects `id`, `revision`, `created_at`, `body`, `service`, `expires_at` and the unique fields.
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
    key = table.c[resource.id_field]
    ids = sa.bindparam("ids", type_=_TEXTS)
    expiry = table.c.get("expires_at")
    matches = [key == sa.any_(ids)]
    matches += [table.c[name] == sa.any_(sa.bindparam(name, type_=_TEXTS)) for name in resource.unique]
    columns = [key, table.c.revision, table.c.created_at, table.c.body, table.c.service]
    unique = [table.c[name] for name in resource.unique]
    return GroupStatements(
        read=_render(sa.select(*columns, expiry if expiry is not None else sa.null(), *unique).where(sa.or_(*matches))),
        upsert=_render(_upsert(table, resource.id_field)),
        delete=_render(sa.delete(table).where(key == sa.any_(ids))),
        insert_tags={name: _render(_insert_arrays(tag, ["value", "owner"])) for name, tag in tags.items()},
        delete_tags={name: _render(sa.delete(tag).where(tag.c.owner == sa.any_(ids))) for name, tag in tags.items()},
    )


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
def finish_statement(*, is_logged: bool) -> SQL:
    """Append to the log and to the keys, put the sequence forward, and tell who listens: one statement for all.

    Nobody listens for what is not logged, and telling takes a lock that all commits of the database share.
    """
    log = _insert_arrays(CHANGES, CHANGE_FIELDS).cte("log")
    keys = _insert_arrays(IDEMPOTENCY_KEYS, KEY_FIELDS, prefix="key_").cte("keys")
    advance = sa.update(COUNTERS).where(COUNTERS.c.name == sa.bindparam("counter")).values(value=sa.bindparam("amount"))
    if is_logged:
        channel = sa.bindparam("channel", type_=sa.Text)
        advance = advance.returning(sa.func.pg_notify(channel, sa.cast(COUNTERS.c.value, sa.Text)))
    return _render(advance.add_cte(log, keys))


@cache
def keys_statement() -> SQL:
    """Select what is known of several idempotency keys."""
    keys = IDEMPOTENCY_KEYS.c
    fields = [keys[name] for name in KEY_FIELDS]
    return _render(sa.select(*fields).where(keys.key == sa.any_(sa.bindparam("keys", type_=_TEXTS))))


def without_nul(values: dict[str, Any]) -> dict[str, Any]:
    """Return values to compare with, without the NUL that PostgreSQL's text cannot hold.

    No stored text has control characters, so another one that sorts there does as well.
    """
    return {
        name: value.replace("\0", "\1") if isinstance(value, str) and "\0" in value else value
        for name, value in values.items()
    }


def _upsert(table: sa.Table, id_field: str) -> sa.ClauseElement:
    names = [column.name for column in table.columns]
    source = sa.select(*(_unnest(table.c[name], name) for name in names))
    statement = insert(table).from_select(names, source)
    return statement.on_conflict_do_update(
        index_elements=[id_field], set_={name: statement.excluded[name] for name in names if name != id_field}
    )


def _insert_arrays(table: sa.Table, names: Any, prefix: str = "") -> sa.Insert:
    source = sa.select(*(_unnest(table.c[name], prefix + name) for name in names))
    return sa.insert(table).from_select(list(names), source)


def _unnest(column: sa.Column[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.func.unnest(sa.bindparam(name, type_=ARRAY(_element_type(column))))


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
