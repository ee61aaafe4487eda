"""The statements of the revision log and of idempotency keys."""

from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.sql import SQL, render
from sarvanom.backends.storage.tables import CHANGES, IDEMPOTENCY_KEYS
from sarvanom.shared.changes import ChangeKind, ChangeShape

CHANGE_FIELDS: Final = Change._fields
_DELETE: Final[sa.ColumnElement[str]] = sa.literal_column(f"'{ChangeKind.DELETE}'")
KEY_FIELDS: Final = tuple(column.name for column in IDEMPOTENCY_KEYS.columns if column.name != "number")


class LogStatements(NamedTuple):
    """What is done with the revision log."""

    append: SQL
    read: SQL
    state: SQL
    last: SQL
    aged: SQL
    drop_superseded: SQL
    drop_deletions: SQL


class KeyStatements(NamedTuple):
    """What is done with idempotency keys."""

    read: SQL
    append: SQL
    is_due: SQL
    forget: SQL


@cache
def log_statements(dialect: Dialect) -> LogStatements:
    """Return the statements for the revision log; parameters are named like the columns."""
    columns = [CHANGES.c[name] for name in CHANGE_FIELDS]
    revision = CHANGES.c.revision
    of_id = [CHANGES.c.collection == sa.bindparam("collection"), CHANGES.c.id == sa.bindparam("id")]
    state = sa.select(*columns).where(*of_id, revision <= sa.bindparam("revision")).order_by(revision.desc())
    window = sa.select(CHANGES.c.previous).where(
        revision > sa.bindparam("floor"), revision <= sa.bindparam("until"), CHANGES.c.previous.is_not(None)
    )
    oldest = sa.select(revision, CHANGES.c.time).where(revision > sa.bindparam("floor")).order_by(revision)
    batch = _limited(oldest, sa.bindparam("limit")).subquery()
    return LogStatements(
        append=render(sa.insert(CHANGES).values({name: sa.bindparam(name) for name in CHANGE_FIELDS}), dialect),
        read=render(sa.select(*columns).where(revision == sa.bindparam("revision")), dialect),
        state=render(_limited(state, sa.literal_column("1")), dialect),
        last=render(sa.select(sa.func.max(revision)).where(*of_id), dialect),
        aged=render(sa.select(sa.func.max(batch.c.revision)).where(batch.c.time < sa.bindparam("before")), dialect),
        drop_superseded=render(sa.delete(CHANGES).where(revision.in_(window)), dialect),
        drop_deletions=render(
            sa.delete(CHANGES).where(
                revision > sa.bindparam("floor"), revision <= sa.bindparam("until"), CHANGES.c.kind == _DELETE
            ),
            dialect,
        ),
    )


@cache
def key_statements(dialect: Dialect) -> KeyStatements:
    """Return the statements for idempotency keys; parameters are named like the columns."""
    keys = IDEMPOTENCY_KEYS.c
    oldest = _limited(sa.select(keys.number, keys.time).order_by(keys.number), sa.bindparam("limit")).subquery()
    last = sa.select(sa.func.max(oldest.c.number)).where(oldest.c.time < sa.bindparam("before")).scalar_subquery()
    return KeyStatements(
        read=render(sa.select(*(keys[name] for name in KEY_FIELDS)).where(keys.key == sa.bindparam("key")), dialect),
        append=render(sa.insert(IDEMPOTENCY_KEYS).values({name: sa.bindparam(name) for name in KEY_FIELDS}), dialect),
        is_due=render(sa.select(last), dialect),
        forget=render(sa.delete(IDEMPOTENCY_KEYS).where(keys.number <= sa.bindparam("number")), dialect),
    )


@lru_cache(maxsize=64)
def changes_statement(shape: ChangeShape, limit: int | None, dialect: Dialect) -> SQL:
    """Select changes after `since`, up to `until`; the shape tells which conditions there are."""
    clauses = [CHANGES.c.revision > sa.bindparam("since"), CHANGES.c.revision <= sa.bindparam("until")]
    if shape.of_collection:
        clauses.append(CHANGES.c.collection == sa.bindparam("collection"))
    if shape.of_id:
        clauses.append(CHANGES.c.id == sa.bindparam("id"))
    if shape.services is not None:
        services = _parameters("service", shape.services)
        owners = (CHANGES.c.service, CHANGES.c.left_service)
        clauses.append(sa.or_(sa.false(), *(owner == service for owner in owners for service in services)))
    if shape.collections is not None:
        collections = _parameters("collection", shape.collections)
        clauses.append(sa.or_(sa.false(), *(CHANGES.c.collection == name for name in collections)))
    statement = sa.select(*(CHANGES.c[name] for name in CHANGE_FIELDS)).where(*clauses).order_by(CHANGES.c.revision)
    count: Any = sa.bindparam("limit") if limit is None else sa.literal_column(str(limit))
    return render(_limited(statement, count), dialect)


def _parameters(name: str, count: int) -> list[sa.BindParameter[str]]:
    return [sa.bindparam(f"{name}_{number}") for number in range(count)]


def _limited(statement: sa.Select[Any], count: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the statement with a limit; without an offset, SQLite's dialect would bind one of its own."""
    return statement.limit(count).offset(sa.literal_column("0"))
