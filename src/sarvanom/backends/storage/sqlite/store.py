"""The embedded store: one SQLite file, read on the event loop where an index answers, written by one thread."""

import asyncio
from pathlib import Path
from typing import Any, Final

import apsw
from pydantic_core import from_json, to_json

from sarvanom.backends.storage.contract import (
    Decide,
    Document,
    DocumentPage,
    Removed,
    Store,
    Written,
)
from sarvanom.backends.storage.listing import count_statement, page_statement
from sarvanom.backends.storage.sqlite.database import DIALECT, open_writer
from sarvanom.backends.storage.sqlite.reader import Readers
from sarvanom.backends.storage.sqlite.transaction import Transaction, now_ms
from sarvanom.backends.storage.sqlite.writer import GroupWriter
from sarvanom.backends.storage.statements import (
    counter_statements,
    resource_statements,
    stats_statement,
)
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import CacheStats
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import RESOURCES, Resource

MAX_PAGE_BYTES: Final = 16 * 2**20
RECLAIM_BATCH: Final = 1_000
_COUNTERS: Final = counter_statements(DIALECT)


class SQLiteStore(Store):
    """A `Store` in one file; several processes may open it at once."""

    def __init__(self, path: Path) -> None:
        """Open the file and create what is missing.

        Raises:
            IncompatibleDatabase: the file is another program's, or a newer version wrote it.
            ServiceUnavailable: it cannot be opened.
        """
        connection = open_writer(path)
        self._writer = GroupWriter(connection)
        self._readers = Readers(path)
        self._uncounted = {"hits": 0, "misses": 0}
        self._flushing = asyncio.Lock()
        self._is_closed = False

    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        text = resource_statements(resource, DIALECT).read
        if resource.lifetime is None:
            row = self._readers.fetch_one(text, {"id": id})
        else:
            row = self._readers.fetch_one(text, {"id": id, "now": now_ms()})
            self._uncounted["misses" if row is None else "hits"] += 1
        return None if row is None else Document(id, *row)

    async def write(self, resource: Resource[Any], id: str, decide: Decide) -> Written:
        return await self._writer.submit(lambda transaction: transaction.write(resource, id, decide))

    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        def select(connection: apsw.Connection) -> DocumentPage:
            return _select_page(connection, resource, query)

        if query.is_bounded:
            return self._readers.inline(select)
        return await self._readers.in_thread(select)

    async def delete_where(self, resource: Resource[Any], conditions: tuple[Condition, ...]) -> Removed:
        return await self._writer.submit(lambda transaction: transaction.delete_where(resource, conditions))

    async def reclaim(self) -> int:
        await self._flush_counters()
        expiring = [resource for resource in RESOURCES if resource.lifetime is not None]
        return sum([await self._reclaim_from(resource) for resource in expiring])

    async def stats(self, resource: Resource[Any]) -> CacheStats:
        await self._flush_counters()
        return await self._readers.in_thread(lambda connection: _select_stats(connection, resource))

    async def revision(self) -> int:
        row = self._readers.fetch_one(_COUNTERS.read, {"counter": "revision"})
        return row[0] if row is not None else 0

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
        row = self._readers.fetch_one(
            f"SELECT 1 FROM {resource.collection} WHERE expires_at <= :now LIMIT 1",  # noqa: S608 (a declaration's name)
            {"now": now_ms()},
        )
        if row is None:
            return 0
        return await self._writer.submit(lambda transaction: transaction.reclaim(resource.collection, RECLAIM_BATCH))

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


def _select_page(connection: apsw.Connection, resource: Resource[Any], query: ListQuery) -> DocumentPage:
    """Read one page, and the total from the same snapshot."""
    now = now_ms()
    connection.execute("BEGIN") if query.include_total else None
    try:
        total = None
        if query.include_total:
            text, values = count_statement(resource, query, DIALECT, now)
            total = connection.execute(text, values).get
        text, values = page_statement(resource, query, DIALECT, now)
        bodies, cursor = _fill_page(connection.execute(text, values), query)
    finally:
        connection.execute("COMMIT") if query.include_total else None
    if query.fields is not None:
        bodies = [_project(body, query.fields) for body in bodies]
    return DocumentPage(bodies, cursor, total)


def _fill_page(rows: apsw.Cursor, query: ListQuery) -> tuple[list[bytes], str | None]:
    """Take rows until the page is full; a cursor follows if there was one more."""
    bodies: list[bytes] = []
    room = MAX_PAGE_BYTES
    last: tuple[Any, ...] = ()
    for row in rows:
        body = row[0]
        room -= len(body)
        if len(bodies) == query.limit or (room < 0 and bodies):
            rows.close()
            return bodies, query.cursor(last[1:])
        bodies.append(body)
        last = row
    return bodies, None


def _project(body: bytes, fields: tuple[str, ...]) -> bytes:
    item = from_json(body)
    return to_json({name: item[name] for name in fields})


def _select_stats(connection: apsw.Connection, resource: Resource[Any]) -> CacheStats:
    counters = dict(connection.execute("SELECT name, value FROM counters"))
    row = connection.execute(stats_statement(resource, DIALECT), {"now": now_ms()}).fetchone()
    entries, size = row if row is not None else (0, 0)
    return CacheStats(
        entries=entries,
        bytes=size,
        hits=counters["hits"],
        misses=counters["misses"],
        expirations=counters["expirations"],
    )
