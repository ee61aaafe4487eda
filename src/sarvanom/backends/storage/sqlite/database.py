"""The SQLite file: how it is opened, and which version of the schema it holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from sarvanom.backends.storage.tables import METADATA
from sarvanom.shared.errors import ServiceUnavailable

DIALECT: Final = sqlite.dialect(paramstyle="named")
SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x53_41_52_56  # "SARV", in the file's header
COUNTER_NAMES: Final = ("revision", "hits", "misses", "expirations")
_BUSY_TIMEOUT_MS: Final = 5_000
_CACHE_KIB: Final = 32 * 1024


class IncompatibleDatabase(Exception):
    """The file is no database of ours, or a newer version wrote it."""


@contextmanager
def available() -> Iterator[None]:
    """Turn SQLite's failures (locked, full, unreadable) into `ServiceUnavailable`."""
    try:
        yield
    except apsw.Error as error:
        raise translated(error) from error


def translated(error: apsw.Error) -> Exception:
    """Return what a failure of SQLite means to a caller; the error itself if it is a defect of ours."""
    match error:
        case apsw.NotADBError():
            return IncompatibleDatabase("The file is not an SQLite database")
        case apsw.ConnectionClosedError():
            return ServiceUnavailable("The store is closed")
        case apsw.BusyError() | apsw.LockedError() | apsw.InterruptError():
            return ServiceUnavailable("The database is too busy; try again")
        case apsw.FullError() | apsw.IOError() | apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.CorruptError():
            return ServiceUnavailable("The database cannot be used at the moment", headers={"Retry-After": "10"})
        case _:
            return error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of which file an error speaks."""
    try:
        yield
    except IncompatibleDatabase as error:
        raise IncompatibleDatabase(f"{path}: {error}") from error
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"{path}: {error.detail}") from error


def open_writer(path: Path) -> apsw.Connection:
    """Open the file to write, creating it if need be; a commit is on disk before it returns.

    Raises:
        IncompatibleDatabase: the file is another program's, or a newer version wrote it.
        ServiceUnavailable: it cannot be opened.
    """
    with _named(path), available():
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        _check_schema(connection)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        _prepare_schema(connection)
        return connection


def open_reader(path: Path) -> apsw.Connection:
    """Open the file to read; raises `ServiceUnavailable`."""
    with available():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection


def _prepare_schema(connection: apsw.Connection) -> None:
    """Create the tables in an empty file; several processes may try at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            _create_schema(connection)
        _check_schema(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_empty(connection: apsw.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_schema").get


def _check_schema(connection: apsw.Connection) -> None:
    """Refuse a file that is not ours before anything in it is changed."""
    if _is_empty(connection):
        return
    version = connection.pragma("user_version")
    if connection.pragma("application_id") != APPLICATION_ID:
        raise IncompatibleDatabase("The file belongs to another program")
    if version != SCHEMA_VERSION:
        raise IncompatibleDatabase(f"The database has schema {version}; this version knows {SCHEMA_VERSION}")


def _create_schema(connection: apsw.Connection) -> None:
    for table in METADATA.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=DIALECT)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
    for name in COUNTER_NAMES:
        connection.execute("INSERT INTO counters (name, value) VALUES (?, 0)", (name,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
