"""The whole SQLite file at one revision, read and filled over connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from sarvanom.backends.storage.contract import Restored, Snapshot
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.log_statements import log_statements
from sarvanom.backends.storage.snapshots import (
    FORGET_ISSUED,
    HAS_OTHERS,
    RestoredRow,
    check_empty,
    counters_after,
    restored_row,
    snapshot_statement,
    take_batch,
    twice,
)
from sarvanom.backends.storage.sqlite.database import DIALECT, available, open_reader, open_writer
from sarvanom.backends.storage.statements import counter_statements, resource_statements
from sarvanom.backends.storage.tables import EXPORTED_SEQUENCES
from sarvanom.shared.resources import RESOURCES, Resource

_LOG: Final = log_statements(DIALECT)
_COUNTERS: Final = counter_statements(DIALECT)


class _Connection:
    """A connection that is used in a thread of its own, one piece of work after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "sarvanom-snapshot")
        self._connection: apsw.Connection | None = None

    async def open(self, opening: Callable[[Path], apsw.Connection], path: Path) -> None:
        self._connection = await asyncio.get_running_loop().run_in_executor(self._thread, opening, path)

    async def run[T](self, work: Callable[[apsw.Connection], T]) -> T:
        assert self._connection is not None  # noqa: S101 (it was opened)
        return await asyncio.get_running_loop().run_in_executor(self._thread, _run, work, self._connection)

    def close(self) -> None:
        """Close after the work that is under way, which is given up; what was not committed is rolled back."""
        if self._connection is not None:
            self._connection.interrupt()
            self._thread.submit(self._connection.close)
        self._thread.shutdown(wait=False)


def _run[T](work: Callable[[apsw.Connection], T], connection: apsw.Connection) -> T:
    with available():
        return work(connection)


@asynccontextmanager
async def open_snapshot(path: Path) -> AsyncIterator[Snapshot]:
    """Read the file as it is now, however long that takes; writers go on meanwhile."""
    connection = _Connection()
    try:
        await connection.open(open_reader, path)
        counters = await connection.run(_begin)
        yield Snapshot({name: counters[name] for name in EXPORTED_SEQUENCES}, _batches(connection, now_ms()))
    finally:
        connection.close()


def _begin(connection: apsw.Connection) -> dict[str, int]:
    connection.execute("BEGIN")
    return _read_counters(connection)


async def _batches(connection: _Connection, now: int) -> AsyncIterator[tuple[Resource[Any], list[bytes]]]:
    for resource in RESOURCES:
        rows = await connection.run(partial(_select_all, resource, now))
        while bodies := await connection.run(partial(_take_batch, rows)):
            yield resource, bodies


def _select_all(resource: Resource[Any], now: int, connection: apsw.Connection) -> apsw.Cursor:
    return connection.execute(snapshot_statement(resource, DIALECT).text, {"now": now})


def _take_batch(rows: apsw.Cursor, _: apsw.Connection) -> list[bytes]:
    return take_batch(rows)


async def restore_into(
    path: Path, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
) -> dict[str, int]:
    """Fill the file in one transaction; see `Store.restore`."""
    connection = _Connection()
    counts = dict.fromkeys((resource.collection for resource in RESOURCES), 0)
    try:
        await connection.open(open_writer, path)
        await connection.run(_begin_restore)
        async for batch in batches:
            for collection in await connection.run(partial(_insert, batch)):
                counts[collection] += 1
        await connection.run(partial(_finish_restore, revisions))
    finally:
        connection.close()
    return counts


def _begin_restore(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    check_empty(_read_counters(connection), has_others=bool(connection.execute(HAS_OTHERS).get))
    for statement in FORGET_ISSUED:
        connection.execute(statement)


def _insert(batch: Sequence[Restored], connection: apsw.Connection) -> list[str]:
    """Store a batch; return the collection of each resource that has not expired."""
    now = now_ms()
    stored = []
    for restored in batch:
        row = restored_row(restored, now)
        if row is not None:
            try:
                _insert_row(connection, restored.resource, row)
            except apsw.ConstraintError as error:
                # SQLite names the column: "UNIQUE constraint failed: users.email".
                raise twice(restored, str(error).rpartition(".")[2]) from None
            stored.append(restored.resource.collection)
    return stored


def _insert_row(connection: apsw.Connection, resource: Resource[Any], row: RestoredRow) -> None:
    statements = resource_statements(resource, DIALECT)
    connection.execute(statements.insert.text, row.values)
    for column, tags in row.tags.items():
        for tag in tags:
            connection.execute(statements.insert_tag[column].text, {"id": row.values["id"], "value": tag})
    if row.entry is not None:
        connection.execute(_LOG.append.text, row.entry)


def _finish_restore(revisions: Mapping[str, int], connection: apsw.Connection) -> None:
    for name, value in counters_after(revisions).items():
        connection.execute(_COUNTERS.put.text, {"counter": name, "amount": value})
    connection.execute("COMMIT")


def _read_counters(connection: apsw.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, value FROM counters"))
