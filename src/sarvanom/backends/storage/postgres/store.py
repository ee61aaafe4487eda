"""The store in PostgreSQL, which any number of crud processes share."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from sarvanom.backends.storage.contract import (
    NOBODY,
    Document,
    DocumentPage,
    Origin,
    Removed,
    Restored,
    ServerRoom,
    Snapshot,
    Store,
    StoreState,
    Write,
    Written,
)
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.listing import count_statement, page_statement
from sarvanom.backends.storage.log_statements import key_statements
from sarvanom.backends.storage.pages import list_page
from sarvanom.backends.storage.postgres.bodies import PostgresBodies
from sarvanom.backends.storage.postgres.connections import DIALECT, ROOM, Connector, Timeouts
from sarvanom.backends.storage.postgres.listener import Listener
from sarvanom.backends.storage.postgres.log import BOUNDS, PostgresLog
from sarvanom.backends.storage.postgres.pages import fetch_page
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.reader import GroupReader
from sarvanom.backends.storage.postgres.removal import count_rows, delete_where, reclaim
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.snapshot import open_snapshot, restore_into
from sarvanom.backends.storage.postgres.statements import without_nul
from sarvanom.backends.storage.postgres.transaction import Outcome
from sarvanom.backends.storage.postgres.writer import GroupWriter
from sarvanom.backends.storage.schema import VERSION_TABLE
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statement_spans import note_cache_read
from sarvanom.backends.storage.statements import counter_statements, stats_statement
from sarvanom.backends.storage.tables import LOGGED_SEQUENCE, SEQUENCES
from sarvanom.shared.changes import LogBounds
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import CacheStats
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import STORED, Resource

MIN_CONNECTIONS: Final = len(SEQUENCES) + 3
"""One to write each sequence, one to listen, two for reads that may take long, and one for those that do not."""
_FORGET_BATCH: Final = 1_000
_KEYS: Final = key_statements(DIALECT)
_COUNTERS: Final = counter_statements(DIALECT)
_STATE: Final = SQL(
    f"SELECT bounds.*, (SELECT string_agg(version_num, ', ') FROM {VERSION_TABLE}), "  # noqa: S608 (constants)
    f"{ROOM} FROM ({BOUNDS.text}) AS bounds",
    (),
)
_CACHE_COUNTERS: Final = SQL("SELECT name, value FROM counters WHERE name IN ('hits', 'misses', 'expirations')", ())


class PostgresStore(Store):
    """A `Store` in a database that many processes write to; nothing is connected before it is needed."""

    log: PostgresLog

    def __init__(self, url: str, *, connections: int = 16, timeouts: Timeouts | None = None) -> None:
        """Take a URL, and how many connections there may be at most; raises `ValueError` if those are too few."""
        if connections < MIN_CONNECTIONS:
            raise ValueError(f"A store needs at least {MIN_CONNECTIONS} connections to PostgreSQL, not {connections}")
        connector = Connector(url, timeouts or Timeouts())
        self._pool = Pool(connector, connections - len(SEQUENCES) - 1)
        self._reader = GroupReader(self._pool)
        self._writers = {sequence: GroupWriter(connector, sequence) for sequence in SEQUENCES}
        self._listener = Listener(connector)
        self.log = PostgresLog(self._pool, self._listener)
        self.bodies = PostgresBodies(self._pool, self._writers[LOGGED_SEQUENCE])
        self._uncounted = {"hits": 0, "misses": 0}
        self._flushing = asyncio.Lock()
        self._is_closed = False

    async def look(self) -> StoreState:
        floor, head, schema, most, connected = await self._pool.fetch_one(_STATE, {})
        return StoreState("postgresql", schema or "", LogBounds(floor, head), ServerRoom(most, connected))

    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        document = await self._reader.read(resource, id)
        if resource.counts_reads:
            self._uncounted["misses" if document is None else "hits"] += 1
            note_cache_read(is_hit=document is not None)
        return document

    async def write(self, write: Write) -> Written:
        [outcome] = await self._writers[write.resource.sequence].submit([write])
        if isinstance(outcome, Exception):
            raise outcome
        if write.resource.is_logged:
            self._listener.announce()
        return outcome

    async def write_all(self, writes: Sequence[Write]) -> list[Written | SarvanOMError]:
        outcomes: dict[int, Outcome] = {}
        for sequence in SEQUENCES:
            theirs = [index for index, write in enumerate(writes) if write.resource.sequence == sequence]
            if theirs:
                found = await self._writers[sequence].submit([writes[index] for index in theirs])
                outcomes |= dict(zip(theirs, found, strict=True))
        self._listener.announce()
        if outcomes and all(isinstance(outcome, ServiceUnavailable) for outcome in outcomes.values()):
            raise outcomes[0]  # type: ignore[misc] # an exception, as was just seen
        return [_expected(outcomes[index]) for index in range(len(writes))]

    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        return await self._pool.read_slowly(lambda session: _select_page(session, resource, query))

    async def delete_where(
        self, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin = NOBODY
    ) -> Removed:
        return await self._writers[resource.sequence].run(
            lambda session, held: delete_where(session, held.revision, resource, conditions, origin)
        )

    async def reclaim(self) -> int:
        await self._flush_counters()
        reclaimed = 0
        for resource in STORED:
            if resource.lifetime is not None:
                async with self._pool.use() as session:
                    reclaimed += await reclaim(session, resource)
        return reclaimed

    async def forget_keys(self, before: str) -> int:
        async with self._pool.use() as session:
            number = (await session.fetch_one(_KEYS.is_due, {"before": before, "limit": _FORGET_BATCH}))[0]
            if number is None:
                return 0
            return await count_rows(session, _KEYS.forget, {"number": number})

    async def stats(self, resource: Resource[Any]) -> CacheStats:
        await self._flush_counters()
        counters = {row[0]: row[1] for row in await self._pool.fetch(_CACHE_COUNTERS, {})}
        sql, now = stats_statement(resource, DIALECT), {"now": now_ms()}
        entries, size = await self._pool.read_slowly(lambda session: session.fetch_one(sql, now))
        return CacheStats(
            entries=entries,
            bytes=int(size),
            hits=counters["hits"],
            misses=counters["misses"],
            expirations=counters["expirations"],
        )

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return open_snapshot(self._pool)

    async def restore(
        self, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
    ) -> Mapping[str, int]:
        counts = await restore_into(self._pool, revisions, batches)
        self.log.announce()
        return counts

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for writer in self._writers.values():
            await writer.aclose()
        try:
            await self._flush_counters()
        except ServiceUnavailable:
            pass  # counts of the last second, and nobody to take them
        finally:
            await self._listener.aclose()
            await self._reader.aclose()
            await self._pool.aclose()

    async def _flush_counters(self) -> None:
        """Add what this process has counted to the store's counters, which all processes share."""
        async with self._flushing:
            for name, amount in self._uncounted.items():
                if amount:
                    async with self._pool.use() as session:
                        await session.fetch(_COUNTERS.add, {"counter": name, "amount": amount})
                    self._uncounted[name] -= amount


def _expected(outcome: Outcome) -> Written | SarvanOMError:
    """Return an outcome; raise what is a defect."""
    if isinstance(outcome, Exception) and not isinstance(outcome, SarvanOMError):
        raise outcome
    return outcome


async def _select_page(session: Session, resource: Resource[Any], query: ListQuery) -> DocumentPage:
    """Read one page; the total, if it is asked for, from the same snapshot."""
    now = now_ms()
    total = None
    if query.include_total:
        await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        sql, values = count_statement(resource, query, DIALECT, now)
        total = (await session.fetch_one(sql, without_nul(values)))[0]
    sql, values = page_statement(resource, query, DIALECT, now)
    rows = await fetch_page(session, sql, without_nul(values), query.limit)
    if query.include_total:
        await session.execute("ROLLBACK")
    return DocumentPage(*list_page(rows, query), total)
