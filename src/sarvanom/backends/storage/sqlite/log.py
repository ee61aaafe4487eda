"""The revision log in the SQLite file."""

import asyncio
from contextlib import suppress
from typing import Any, Final

import apsw

from sarvanom.backends.storage.log import (
    Change,
    ChangePage,
    RevisionLog,
    compaction_target,
    page_end,
    take_page,
)
from sarvanom.backends.storage.log_statements import changes_statement, log_statements
from sarvanom.backends.storage.pages import MAX_PAGE_BYTES, cut_page
from sarvanom.backends.storage.sqlite.database import DIALECT
from sarvanom.backends.storage.sqlite.reader import Readers
from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.sqlite.writer import GroupWriter
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.resources import Resource

COMPACTION_BATCH: Final = 1_000
_LOG: Final = log_statements(DIALECT)
_BOUNDS: Final = (
    "SELECT max(iif(name = 'floor', value, NULL)), max(iif(name = 'revision', value, NULL)) FROM counters "
    "WHERE name IN ('floor', 'revision')"
)
_BODY: Final = Change._fields.index("body")
_SECONDS_BETWEEN_LOOKS: Final = 0.02


class SQLiteLog(RevisionLog):
    """Read by the readers; `wait` hears of this process's writes at once, and looks for those of others."""

    def __init__(self, readers: Readers, writer: GroupWriter) -> None:
        self._readers = readers
        self._writer = writer
        self._changed = asyncio.Event()

    async def bounds(self) -> LogBounds:
        row = self._readers.fetch_one(_BOUNDS, {})
        return LogBounds(*row) if row is not None else LogBounds(0, 0)

    async def page(self, query: ChangeQuery, max_bytes: int = MAX_PAGE_BYTES) -> ChangePage:
        return await self._readers.in_thread(lambda connection: _select_page(connection, query, max_bytes))

    async def change(self, revision: int) -> Change | None:
        bounds = await self.bounds()
        if not bounds.floor < revision <= bounds.head:
            return None
        row = self._readers.fetch_one(_LOG.read.text, {"revision": revision})
        return None if row is None else Change(*row)

    async def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        values = {"collection": resource.collection, "id": id, "revision": revision}
        row = self._readers.inline(lambda connection: _select_state(connection, values))
        return None if row is None else Change(*row)

    async def wait(self, since: int, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            self._changed.clear()
            head = (await self.bounds()).head
            remaining = deadline - loop.time()
            if head > since or remaining <= 0:
                return head
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(remaining, _SECONDS_BETWEEN_LOOKS))

    def announce(self) -> None:
        """Wake who waits: this process has written."""
        self._changed.set()

    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        floor, head = await self._readers.in_thread(select_bounds)
        aged = None
        if before is not None:
            values = {"floor": floor, "limit": COMPACTION_BATCH, "before": before}
            row = await self._readers.fetch_one_in_thread(_LOG.aged.text, values)
            aged = None if row is None else row[0]
        until = compaction_target(LogBounds(floor, head), keep, aged, COMPACTION_BATCH)
        if until <= floor:
            return 0

        def compact(transaction: Transaction) -> int:
            if transaction.counter("floor") != floor:
                return 0  # another process was here
            transaction.compact(floor, until)
            return until - floor

        return await self._writer.submit(compact)


def select_bounds(connection: apsw.Connection) -> LogBounds:
    """Return what the log covers."""
    return LogBounds(*connection.execute(_BOUNDS).fetchone() or (0, 0))


def _select_state(connection: apsw.Connection, values: dict[str, Any]) -> tuple[Any, ...] | None:
    """Read a state and the bounds from one snapshot: a revision that comes meanwhile is not yet there for either."""
    connection.execute("BEGIN")
    try:
        select_bounds(connection).check(values["revision"], "at_revision")
        row: tuple[Any, ...] | None = connection.execute(_LOG.state.text, values).fetchone()
    finally:
        connection.execute("COMMIT")
    return row


def _select_page(connection: apsw.Connection, query: ChangeQuery, max_bytes: int) -> ChangePage:
    """Read one page and the bounds from one snapshot."""
    connection.execute("BEGIN")
    try:
        bounds = select_bounds(connection)
        since = query.begin(bounds)
        until = page_end(query, since, bounds)
        sql = changes_statement(query.shape, None, DIALECT)
        rows = connection.execute(sql.text, query.values(since, until))
        changes, until = take_page(cut_page(rows, _BODY, query.limit, max_bytes), query.limit, until)
        rows.close()
    finally:
        connection.execute("COMMIT")
    return ChangePage(changes, until, bounds)
