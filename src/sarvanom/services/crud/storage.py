"""Which store a URL names, and how it is opened, migrated and kept in order."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import structlog

from sarvanom.backends.storage.contract import ServerRoom, Store
from sarvanom.shared.errors import ServiceUnavailable

SQLITE: Final = "sqlite:///"
_log = structlog.get_logger()


def open_store(url: str, *, connections: int) -> Store:
    """Return the store; an SQLite file is made and migrated, a PostgreSQL database must have its schema already.

    A database that is away keeps no service from starting: it is not ready until the database is there.

    Raises:
        IncompatibleDatabase: the database is not ours, of another version, or not whole.
        ServiceUnavailable: an SQLite file cannot be opened.
    """
    if url.startswith(SQLITE):
        from sarvanom.backends.storage.sqlite.store import SQLiteStore

        path = Path(url.removeprefix(SQLITE))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SQLiteStore(path)
    from sarvanom.backends.storage.postgres.migration import check_schema
    from sarvanom.backends.storage.postgres.store import PostgresStore

    try:
        with ThreadPoolExecutor(1) as executor:  # there may be a loop in this thread
            executor.submit(asyncio.run, check_schema(url)).result()
    except ServiceUnavailable as error:
        _log.warning("the database is away", reason=error.detail)
    return PostgresStore(url, connections=connections)


def find_text(url: str, holding: bytes, lacking: Sequence[bytes]) -> bytes | None:
    """Return the text of a resource, as it is now, that holds some bytes and none of others; None if there is none.

    Raises:
        ServiceUnavailable: the database cannot be read.
    """
    if url.startswith(SQLITE):
        from sarvanom.backends.storage.sqlite.bodies import find_body as find_in_file

        return find_in_file(Path(url.removeprefix(SQLITE)), holding, lacking)
    from sarvanom.backends.storage.postgres.bodies import find_body

    with ThreadPoolExecutor(1) as executor:  # there may be a loop in this thread
        return executor.submit(asyncio.run, find_body(url, holding, lacking)).result()


async def look_at(url: str) -> tuple[str | None, ServerRoom | None]:
    """Return the schema's version, None if there is none yet, and how many connections a server has; changes nothing.

    Raises:
        IncompatibleDatabase: the database is not ours, newer than this code, or not whole.
        ServiceUnavailable: it cannot be read.
    """
    if url.startswith(SQLITE):
        from sarvanom.backends.storage.sqlite.database import read_file_version

        return await asyncio.to_thread(read_file_version, Path(url.removeprefix(SQLITE))), None
    from sarvanom.backends.storage.postgres.migration import look_at_server

    return await look_at_server(url)


async def migrate_store(url: str) -> tuple[str | None, str]:
    """Bring the database to the newest schema; return the version before (None: it was empty) and after.

    Raises:
        IncompatibleDatabase: it is not ours, newer than this code, or not whole.
        ServiceUnavailable: it cannot be reached.
    """
    if url.startswith(SQLITE):
        from sarvanom.backends.storage.sqlite.database import migrate_file

        return await asyncio.to_thread(migrate_file, Path(url.removeprefix(SQLITE)))
    from sarvanom.backends.storage.postgres.migration import migrate

    return await migrate(url)
