"""The SQLite file: how it is opened, and which version of the schema it holds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
from sqlalchemy.dialects import sqlite

from sarvanom.backends.storage.schema import HEAD, VERSION_TABLE, IncompatibleDatabase, check_version, upgrade_script
from sarvanom.shared.errors import ServiceUnavailable

DIALECT: Final = sqlite.dialect(paramstyle="named")
_BEFORE_ALEMBIC: Final = "0001"
"""The schema of a file whose `user_version` is 1, which has no version table yet."""
_HAS_VERSION_TABLE: Final = 2
APPLICATION_ID: Final = 0x53_41_52_56  # "SARV", in the file's header
_BUSY_TIMEOUT_MS: Final = 5_000
_READER_CACHE_KIB: Final = 32 * 1024
_WRITER_CACHE_KIB: Final = 64 * 1024
_PAGE_BYTES: Final = 4096
LOG_PAGES: Final = 64 * 2**20 // _PAGE_BYTES
"""How long the write-ahead log grows before a checkpoint: what many writes change meanwhile goes into the file once."""
_KEPT_LOG_BYTES: Final = 96 * 2**20
"""What stays of its file when it begins anew; as it grows on while it is moved, it is often longer than `LOG_PAGES`."""


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
        _version(connection)  # before anything in a file is changed that is not ours
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        _keep_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_KEPT_LOG_BYTES}")
        migrate(connection)
        # What a statement may have to undo needs no file; what a migration sorts does.
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection


def _keep_log(connection: apsw.Connection) -> None:
    """Switch to a write-ahead log; while another process does so, SQLite calls no busy handler but gives up."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.005)
        else:
            return


def open_reader(path: Path) -> apsw.Connection:
    """Open the file to read; raises `ServiceUnavailable`."""
    with available():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        return connection


def read_file_version(path: Path) -> str | None:
    """Return the schema's version, None if there is no file, or an empty one; raises as `open_writer` does."""
    if not path.exists():
        return None
    with _named(path), available():
        connection = open_reader(path)
        try:
            return _version(connection)
        finally:
            connection.close()


def migrate_file(path: Path) -> tuple[str | None, str]:
    """Bring a file to the newest schema; return the version before (None: it was empty) and after.

    Raises:
        IncompatibleDatabase, ServiceUnavailable: as for `open_writer`.
    """
    with _named(path), available():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        try:
            before = _version(connection)
        finally:
            connection.close()
    open_writer(path).close()
    return before, HEAD


def migrate(connection: apsw.Connection) -> None:
    """Bring the file to the newest schema, in one transaction; several processes may try at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        start = _version(connection)
        if start != HEAD:
            if start == _BEFORE_ALEMBIC:
                connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num TEXT PRIMARY KEY)")
                connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('{start}')")  # noqa: S608 (a constant)
            connection.execute(upgrade_script("sqlite", start)).fetchall()  # a script runs on as its rows are read
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_HAS_VERSION_TABLE}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: apsw.Connection) -> str | None:
    """Return the schema's version, None for an empty file; refuses a file that is not ours, or is not whole."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return None
    if connection.pragma("application_id") != APPLICATION_ID:
        raise IncompatibleDatabase("The file belongs to another program")
    if VERSION_TABLE not in tables and connection.pragma("user_version") == 1:
        check_version([_BEFORE_ALEMBIC], tables)
        return _BEFORE_ALEMBIC
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}") if VERSION_TABLE in tables else ()  # noqa: S608
    versions = [version for (version,) in rows]
    check_version(versions, tables)
    return str(versions[0])
