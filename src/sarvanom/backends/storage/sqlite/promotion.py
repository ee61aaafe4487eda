"""The SQLite file as the source of a promotion: read whole, while nobody may write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from sarvanom.backends.storage.promotion import BATCH, BATCH_BYTES, Row, TableCopy
from sarvanom.backends.storage.schema import VERSION_TABLE, IncompatibleDatabase, check_version
from sarvanom.backends.storage.sqlite.database import APPLICATION_ID
from sarvanom.shared.errors import ServiceUnavailable

_BUSY_TIMEOUT_MS: Final = 5_000


class Source:
    """A file that nobody else writes to until this is closed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def batches(self, table: TableCopy) -> AsyncIterator[list[Row]]:
        """Yield the rows of a table in its order, a batch at a time."""
        cursor = self._connection.execute(table.select)
        while rows := await _in_thread(lambda: _next_batch(cursor)):
            yield rows


def _next_batch(cursor: apsw.Cursor) -> list[Row]:
    """Take rows until they are many or large."""
    rows: list[Row] = []
    room = BATCH_BYTES
    while room > 0 and len(rows) < BATCH and (row := cursor.fetchone()) is not None:
        rows.append(row)
        room -= sum(len(value) for value in row if isinstance(value, bytes))
    return rows


async def _in_thread[T](work: Callable[[], T]) -> T:
    """Run work in a thread, and to its end also if nobody waits any more: the connection is to be closed then."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file of the newest schema to be read whole; not a byte of it, or of its log, is changed.

    Raises:
        IncompatibleDatabase: it does not exist, is not ours, or must be migrated first.
        ServiceUnavailable: somebody else is writing to it.
    """
    if not path.is_file():
        raise IncompatibleDatabase(f"{path}: there is no such file")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise ServiceUnavailable(f"{path}: it cannot be opened to be locked") from error
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        _lock(connection, path)
        yield Source(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.close()


def _lock(connection: apsw.Connection, path: Path) -> None:
    """Keep others from writing, if the file is one of ours."""
    try:
        if connection.pragma("application_id") != APPLICATION_ID:
            raise IncompatibleDatabase(f"{path}: the file belongs to another program")
        connection.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}") if VERSION_TABLE in tables else ()  # noqa: S608
        versions = [str(version) for (version,) in rows]
    except apsw.BusyError as error:
        raise ServiceUnavailable(f"{path}: somebody is writing to it; stop SarvanOM first") from error
    except apsw.NotADBError as error:
        raise IncompatibleDatabase(f"{path}: the file is not an SQLite database") from error
    except apsw.Error as error:
        raise ServiceUnavailable(f"{path}: it cannot be read") from error
    try:
        is_old = not versions or check_version(versions, tables)
    except IncompatibleDatabase as error:
        raise IncompatibleDatabase(f"{path}: {error}") from error
    if is_old:
        raise IncompatibleDatabase(f"{path}: the file has an older schema; run `sarvanom migrate` for it first")
