"""The whole PostgreSQL database at one revision, read and filled in one transaction each."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from sarvanom.backends.storage.contract import Restored, Snapshot
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.listing import page_statement
from sarvanom.backends.storage.log_statements import CHANGE_FIELDS
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.failures import FAILURES
from sarvanom.backends.storage.postgres.pages import fetch_page
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import insert_statements
from sarvanom.backends.storage.snapshots import (
    BATCH_BYTES,
    BATCH_ROWS,
    FORGET_ISSUED,
    HAS_OTHERS,
    RestoredRow,
    check_empty,
    counters_after,
    restored_row,
    twice,
)
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statements import counter_statements
from sarvanom.backends.storage.tables import EXPORTED_SEQUENCES
from sarvanom.shared.errors import UpstreamTimeout
from sarvanom.shared.queries import ListQuery, Order
from sarvanom.shared.resources import RESOURCES, Resource

_COUNTERS: Final = counter_statements(DIALECT)
_READ_COUNTERS: Final = SQL("SELECT name, value FROM counters", ())
_LOCK_COUNTERS: Final = SQL("SELECT name, value FROM counters ORDER BY name FOR UPDATE", ())
_HAS_OTHERS: Final = SQL(HAS_OTHERS, ())
_PATIENCE: Final = "SET LOCAL idle_in_transaction_session_timeout = '60s'"
"""Who reads or sends a whole store may be slower than a group of writes; a reader that stops is cut off elsewhere."""
_taken: Final = re.compile(r"Key \((\w+)\)=\((.*)\) already exists\.").fullmatch


@asynccontextmanager
async def open_snapshot(pool: Pool) -> AsyncIterator[Snapshot]:
    """Read the database as it is now, however long that takes; writers go on meanwhile."""
    async with pool.use() as session:
        await session.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_PATIENCE}")
        try:
            counters = {row[0]: row[1] for row in await session.fetch(_READ_COUNTERS, {})}
            yield Snapshot({name: counters[name] for name in EXPORTED_SEQUENCES}, _batches(session, now_ms()))
        finally:
            if session.is_open:
                await session.execute("ROLLBACK")


async def _batches(session: Session, now: int) -> AsyncIterator[tuple[Resource[Any], list[bytes]]]:
    for resource in RESOURCES:
        after: tuple[Any, ...] | None = None
        while rows := await _page(session, resource, after, now):
            yield resource, [row[0] for row in rows]
            after = (rows[-1][1],)


async def _page(session: Session, resource: Resource[Any], after: tuple[Any, ...] | None, now: int) -> Sequence[Any]:
    orders = (Order(resource.id_column, descending=False),)
    query = ListQuery((), orders, limit=BATCH_ROWS, skip=0, after=after, fields=None, include_total=False)
    sql, values = page_statement(resource, query, DIALECT, now)
    return (await fetch_page(session, sql, values, BATCH_ROWS, BATCH_BYTES)).rows


async def restore_into(
    pool: Pool, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
) -> dict[str, int]:
    """Fill the database in one transaction; see `Store.restore`."""
    counts = dict.fromkeys((resource.collection for resource in RESOURCES), 0)
    async with pool.use() as session:
        await session.execute(f"BEGIN; {_PATIENCE}")
        try:
            counters = {row[0]: row[1] for row in await session.fetch(_LOCK_COUNTERS, {})}
            check_empty(counters, has_others=(await session.fetch_one(_HAS_OTHERS, {}))[0])
            for statement in FORGET_ISSUED:
                await session.execute(statement)
            async for batch in batches:
                for collection, count in (await _insert(session, batch)).items():
                    counts[collection] += count
            for name, value in counters_after(revisions).items():
                await session.fetch(_COUNTERS.put, {"counter": name, "amount": value})
        except BaseException:
            with suppress(*FAILURES):
                if session.is_open:
                    await session.execute("ROLLBACK")
            raise
        try:
            await session.execute("COMMIT")
        except FAILURES as error:
            raise UpstreamTimeout("The database broke off during the commit; see whether the store is empty") from error
    return counts


async def _insert(session: Session, batch: Sequence[Restored]) -> dict[str, int]:
    """Store a batch; return how many resources of each collection have not expired."""
    now = now_ms()
    by_resource: dict[Resource[Any], list[tuple[Restored, RestoredRow]]] = {}
    for restored in batch:
        row = restored_row(restored, now)
        if row is not None:
            by_resource.setdefault(restored.resource, []).append((restored, row))
    for resource, pairs in by_resource.items():
        try:
            await _insert_rows(session, resource, [row for _, row in pairs])
        except asyncpg.UniqueViolationError as error:
            raise _twice(pairs, error) from None
    return {resource.collection: len(pairs) for resource, pairs in by_resource.items()}


async def _insert_rows(session: Session, resource: Resource[Any], rows: Sequence[RestoredRow]) -> None:
    statements = insert_statements(resource)
    await session.fetch(statements.rows, {name: [row.values[name] for row in rows] for name in statements.rows.names})
    for column, sql in statements.tags.items():
        pairs = [(tag, row.values["id"]) for row in rows for tag in row.tags[column]]
        if pairs:
            await session.fetch(sql, {"value": [tag for tag, _ in pairs], "owner": [owner for _, owner in pairs]})
    entries = [row.entry for row in rows if row.entry is not None]
    if entries:
        columns = zip(*entries, strict=True)
        values = {name: list(column) for name, column in zip(CHANGE_FIELDS, columns, strict=True)}
        await session.fetch(statements.entries, values)


def _twice(pairs: Sequence[tuple[Restored, RestoredRow]], error: Any) -> Exception:
    """Find the resource whose value PostgreSQL says is taken: the last one of the batch that has it."""
    match = _taken(error.detail or "")
    field, value = (match[1], match[2]) if match is not None else ("", "")
    having = [restored for restored, row in pairs if str(row.values.get(field)) == value]
    return twice((having or [restored for restored, _ in pairs])[-1], field)
