"""The embedded store: one SQLite file, read on the event loop where an index answers, written by one thread."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import Context
from pathlib import Path
from typing import Any, Final

import apsw

from sarvanom.backends.storage.contract import (
    NOBODY,
    Document,
    DocumentPage,
    Origin,
    Removed,
    Restored,
    Snapshot,
    Store,
    StoreState,
    Write,
    Written,
)
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.listing import count_statement, page_statement
from sarvanom.backends.storage.log_statements import key_statements
from sarvanom.backends.storage.pages import cut_page, list_page
from sarvanom.backends.storage.schema import VERSION_TABLE
from sarvanom.backends.storage.sqlite.bodies import SQLiteBodies
from sarvanom.backends.storage.sqlite.database import DIALECT, open_writer
from sarvanom.backends.storage.sqlite.log import SQLiteLog, select_bounds
from sarvanom.backends.storage.sqlite.reader import Readers
from sarvanom.backends.storage.sqlite.snapshot import open_snapshot, restore_into
from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.sqlite.writer import GroupWriter
from sarvanom.backends.storage.statement_spans import note_cache_read, telling
from sarvanom.backends.storage.statements import resource_statements, stats_statement
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import CacheStats
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import STORED, Resource
from sarvanom.shared.trace_context import begin_span

RECLAIM_BATCH: Final = 1_000
_KEYS: Final = key_statements(DIALECT)


class SQLiteStore(Store):
    """A `Store` in one file; several processes may open it at once."""

    log: SQLiteLog

    def __init__(self, path: Path) -> None:
        """Open the file and create what is missing.

        Raises:
            IncompatibleDatabase: the file is another program's, or a newer version wrote it.
            ServiceUnavailable: it cannot be opened.
        """
        connection = open_writer(path)
        self._path = path
        self._readers = Readers(path)
        self._writer = GroupWriter(connection)
        self.log = SQLiteLog(self._readers, self._writer)
        self.bodies = SQLiteBodies(self._readers, self._writer)
        self._uncounted = {"hits": 0, "misses": 0}
        self._flushing = asyncio.Lock()
        self._looking: asyncio.Task[StoreState] | None = None
        self._is_closed = False

    async def look(self) -> StoreState:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._readers.on_lookout(_select_state), context=Context())
            self._looking.add_done_callback(_note_failure)
        return await asyncio.shield(self._looking)

    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        text = resource_statements(resource, DIALECT).read.text
        if resource.lifetime is None:
            row = self._readers.fetch_one(text, {"id": id})
        else:
            row = self._readers.fetch_one(text, {"id": id, "now": now_ms()})
            if resource.counts_reads:
                self._uncounted["misses" if row is None else "hits"] += 1
                note_cache_read(is_hit=row is not None)
        return None if row is None else Document(id, *row)

    async def write(self, write: Write) -> Written:
        written = await self._writer.submit(
            lambda transaction: transaction.write(write), writes=1, about=write.resource.collection
        )
        self.log.announce()
        return written

    async def write_all(self, writes: Sequence[Write]) -> list[Written | SarvanOMError]:
        outcomes = await self._writer.submit(
            lambda transaction: transaction.write_all(writes), writes=len(writes), is_bulk=True
        )
        self.log.announce()
        return outcomes

    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        def select(connection: apsw.Connection) -> DocumentPage:
            return _select_page(connection, resource, query)

        span = begin_span()
        with nullcontext() if span is None else telling("sqlite", _page_text(resource, query), span):
            if query.is_bounded:
                return self._readers.inline(select)
            return await self._readers.in_thread(select)

    async def delete_where(
        self, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin = NOBODY
    ) -> Removed:
        return await self._writer.submit(
            lambda transaction: transaction.delete_where(resource, conditions, origin),
            writes=1,
            about=resource.collection,
        )

    async def reclaim(self) -> int:
        await self._flush_counters()
        expiring = [resource for resource in STORED if resource.lifetime is not None]
        return sum([await self._reclaim_from(resource) for resource in expiring])

    async def forget_keys(self, before: str) -> int:
        due = await self._readers.fetch_one_in_thread(_KEYS.is_due.text, {"before": before, "limit": RECLAIM_BATCH})
        if due is None or due[0] is None:
            return 0
        return await self._writer.submit(lambda transaction: transaction.forget_keys(before, RECLAIM_BATCH))

    async def stats(self, resource: Resource[Any]) -> CacheStats:
        await self._flush_counters()
        return await self._readers.in_thread(lambda connection: _select_stats(connection, resource))

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return open_snapshot(self._path)

    async def restore(
        self, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
    ) -> Mapping[str, int]:
        counts = await restore_into(self._path, revisions, batches)
        self.log.announce()
        return counts

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            try:
                await self._flush_counters()
            finally:
                # The writer closes last, because the last connection moves the write-ahead log into the file.
                await asyncio.to_thread(self._readers.close)
                await self._writer.aclose()

    async def _reclaim_from(self, resource: Resource[Any]) -> int:
        row = await self._readers.fetch_one_in_thread(
            f"SELECT 1 FROM {resource.collection} WHERE expires_at <= :now LIMIT 1",  # noqa: S608 (a declaration's name)
            {"now": now_ms()},
        )
        if row is None:
            return 0
        return await self._writer.submit(lambda transaction: transaction.reclaim(resource, RECLAIM_BATCH))

    async def _flush_counters(self) -> None:
        """Add what this process has counted to the store's counters, which all processes share."""
        async with self._flushing:
            counted = {name: amount for name, amount in self._uncounted.items() if amount}
            if not counted:
                return

            def add(transaction: Transaction) -> None:
                for name, amount in counted.items():
                    transaction.count(name, amount)

            for name, amount in counted.items():
                self._uncounted[name] -= amount
            try:
                await self._writer.submit(add)
            except SarvanOMError:
                for name, amount in counted.items():
                    self._uncounted[name] += amount
                raise


def _page_text(resource: Resource[Any], query: ListQuery) -> str:
    return page_statement(resource, query, DIALECT, now_ms())[0].text


def _select_page(connection: apsw.Connection, resource: Resource[Any], query: ListQuery) -> DocumentPage:
    """Read one page, and the total from the same snapshot."""
    now = now_ms()
    connection.execute("BEGIN") if query.include_total else None
    try:
        total = None
        if query.include_total:
            sql, values = count_statement(resource, query, DIALECT, now)
            total = connection.execute(sql.text, values).get
        sql, values = page_statement(resource, query, DIALECT, now)
        rows = cut_page(connection.execute(sql.text, values), 0, query.limit)
    finally:
        connection.execute("COMMIT") if query.include_total else None
    return DocumentPage(*list_page(rows, query), total)


def _note_failure(task: asyncio.Task[StoreState]) -> None:
    """Take note of an error that nobody may have waited for."""
    if not task.cancelled():
        task.exception()


def _select_state(connection: apsw.Connection) -> StoreState:
    [version] = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 (a constant)
    return StoreState("sqlite", str(version[0]), select_bounds(connection))


def _select_stats(connection: apsw.Connection, resource: Resource[Any]) -> CacheStats:
    counters = dict(connection.execute("SELECT name, value FROM counters"))
    row = connection.execute(stats_statement(resource, DIALECT).text, {"now": now_ms()}).fetchone()
    entries, size = row if row is not None else (0, 0)
    return CacheStats(
        entries=entries,
        bytes=size,
        hits=counters["hits"],
        misses=counters["misses"],
        expirations=counters["expirations"],
    )
