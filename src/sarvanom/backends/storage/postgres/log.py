"""The revision log in PostgreSQL."""

import asyncio
from typing import Any, Final

from sarvanom.backends.storage.log import (
    Change,
    ChangePage,
    RevisionLog,
    compaction_target,
    page_end,
    take_page,
)
from sarvanom.backends.storage.log_statements import changes_statement, log_statements
from sarvanom.backends.storage.pages import MAX_PAGE_BYTES
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.listener import Listener
from sarvanom.backends.storage.postgres.pages import fetch_page
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import without_nul
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statements import counter_statements
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.resources import Resource

COMPACTION_BATCH: Final = 1_000
_LOG: Final = log_statements(DIALECT)
_COUNTERS: Final = counter_statements(DIALECT)
BOUNDS: Final = SQL(
    "SELECT max(value) FILTER (WHERE name = 'floor'), max(value) FILTER (WHERE name = 'revision') FROM counters "
    "WHERE name IN ('floor', 'revision')",
    (),
)
_CHANGE: Final = SQL(
    f"SELECT * FROM ({BOUNDS.text}) AS bounds LEFT JOIN ({_LOG.read.text}) AS entry ON true",  # noqa: S608
    _LOG.read.names,
)
_STATE: Final = SQL(
    f"SELECT * FROM ({BOUNDS.text}) AS bounds LEFT JOIN ({_LOG.state.text}) AS entry ON true",  # noqa: S608
    _LOG.state.names,
)
"""An entry and the bounds from one snapshot; nulls where there is no entry."""
_DROP_SUPERSEDED: Final = SQL(
    "DELETE FROM changes WHERE revision = ANY (ARRAY("
    "SELECT previous FROM changes WHERE revision > $1 AND revision <= $2 AND previous IS NOT NULL))",
    ("floor", "until"),
)
"""As `LogStatements.drop_superseded`, for which a plan for all values would read the whole log."""
_MAX_REVISION: Final = 2**63 - 1
_LOCK_FLOOR: Final = SQL("SELECT value FROM counters WHERE name = 'floor' FOR UPDATE", ())
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresLog(RevisionLog):
    """Read over the pool; what other processes write is heard of by LISTEN."""

    def __init__(self, pool: Pool, listener: Listener) -> None:
        self._pool = pool
        self._listener = listener

    async def bounds(self) -> LogBounds:
        return LogBounds(*await self._pool.fetch_one(BOUNDS, {}))

    async def page(self, query: ChangeQuery, max_bytes: int = MAX_PAGE_BYTES) -> ChangePage:
        return await self._pool.read_slowly(lambda session: _select_page(session, query, max_bytes))

    async def change(self, revision: int) -> Change | None:
        bounds, change = await self._with_bounds(_CHANGE, {"revision": _storable(revision)})
        return change if revision > bounds.floor else None

    async def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        values = {"collection": resource.collection, "id": id, "revision": _storable(revision)}
        bounds, change = await self._with_bounds(_STATE, values)
        bounds.check(revision, "at_revision")
        return change

    async def wait(self, since: int, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            written = self._listener.next
            head = (await self.bounds()).head
            remaining = deadline - loop.time()
            if head > since or remaining <= 0:
                return head
            await self._listener.wait(written, remaining)

    async def _with_bounds(self, sql: SQL, values: dict[str, Any]) -> tuple[LogBounds, Change | None]:
        floor, head, *entry = await self._pool.fetch_one(sql, values)
        return LogBounds(floor, head), None if entry[0] is None else Change(*entry)

    def announce(self) -> None:
        """Wake who waits: this process has written."""
        self._listener.announce()

    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        bounds = await self.bounds()
        aged = None
        if before is not None:
            values = {"floor": bounds.floor, "limit": COMPACTION_BATCH, "before": before}
            aged = (await self._pool.fetch_one(_LOG.aged, values))[0]
        until = compaction_target(bounds, keep, aged, COMPACTION_BATCH)
        if until <= bounds.floor:
            return 0
        async with self._pool.use() as session:
            return await _compact(session, bounds.floor, until)


def _storable(revision: int) -> int:
    """Return a revision that the database can compare with; there is none beyond it."""
    return min(revision, _MAX_REVISION)


async def _compact(session: Session, floor: int, until: int) -> int:
    """Let go of one batch; the floor is locked, which no writer needs."""
    await session.execute("BEGIN")
    if (await session.fetch_one(_LOCK_FLOOR, {}))[0] != floor:
        await session.execute("ROLLBACK")  # another process was here
        return 0
    window = {"floor": floor, "until": until}
    await session.fetch(_DROP_SUPERSEDED, window)
    await session.fetch(_LOG.drop_deletions, window)
    await session.fetch(_COUNTERS.put, {"counter": "floor", "amount": until})
    await session.execute("COMMIT")
    return until - floor


async def _select_page(session: Session, query: ChangeQuery, max_bytes: int) -> ChangePage:
    """Read one page and the bounds from one snapshot."""
    await session.execute(_SNAPSHOT)
    try:
        bounds = LogBounds(*await session.fetch_one(BOUNDS, {}))
        since = query.begin(bounds)
        until = page_end(query, since, bounds)
        sql = changes_statement(query.shape, query.limit, DIALECT)
        rows = await fetch_page(session, sql, without_nul(query.values(since, until)), query.limit, max_bytes)
    except SarvanOMError:
        await session.execute("ROLLBACK")
        raise
    await session.execute("ROLLBACK")
    changes, until = take_page(rows, query.limit, until)
    return ChangePage(changes, until, bounds)
