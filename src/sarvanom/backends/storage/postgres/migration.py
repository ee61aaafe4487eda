"""Bringing a PostgreSQL database to the newest schema."""

import asyncio
from typing import Final

from sarvanom.backends.storage.contract import ServerRoom
from sarvanom.backends.storage.postgres.connections import ROOM, Connector, Timeouts, read_version
from sarvanom.backends.storage.postgres.failures import FAILURES, translated
from sarvanom.backends.storage.postgres.sessions import close
from sarvanom.backends.storage.schema import HEAD, IncompatibleDatabase, upgrade_script

_MIGRATION_LOCK: Final = 0x53_41_52_56
_PATIENT: Final = Timeouts(connect=5.0, statement=3600.0, lock=60.0, idle=60.0)


async def migrate(url: str) -> tuple[str | None, str]:
    """Bring the database to the newest schema in one transaction; return the version before and after.

    Several may try at once: one works, the others wait.

    Raises:
        IncompatibleDatabase: a newer version wrote it, it is not whole, or it is another program's.
        ServiceUnavailable: it cannot be reached.
    """
    session = await Connector(url, _PATIENT).open_any()
    try:
        await session.execute(f"BEGIN; SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        found = await read_version(session)
        start = None if found is None else found[0]
        if start != HEAD:
            await session.execute(upgrade_script("postgresql", start))
        await session.execute("COMMIT")
    except FAILURES as error:
        raise translated(error) from error
    finally:
        await close(session)
    return start, HEAD


async def look_at_server(url: str) -> tuple[str | None, ServerRoom]:
    """Return the schema's version, None for a database without tables, and the server's connections.

    Raises:
        IncompatibleDatabase: it is newer than this code, not whole, or another program's.
        ServiceUnavailable: it cannot be reached.
    """
    timeouts = Timeouts()
    session = await Connector(url, timeouts).open_any()
    try:
        async with asyncio.timeout(timeouts.connect):
            found = await read_version(session)
            [room] = await session.connection.fetch(f"SELECT {ROOM}")
    except FAILURES as error:
        raise translated(error) from error
    finally:
        await close(session)
    return None if found is None else found[0], ServerRoom(*room)


async def check_schema(url: str) -> None:
    """Make sure that a service can start on the database.

    Raises:
        IncompatibleDatabase: it has no schema yet, or not the one that this code knows; the text says what to do.
        ServiceUnavailable: it cannot be reached.
    """
    timeouts = Timeouts()
    session = await Connector(url, timeouts).open_any()
    try:
        async with asyncio.timeout(timeouts.connect):
            found = await read_version(session)
    except FAILURES as error:
        raise translated(error) from error
    finally:
        await close(session)
    if found is None:
        raise IncompatibleDatabase("The database is empty: run `sarvanom migrate` once")
    if found[1]:
        raise IncompatibleDatabase(
            f"The database has schema {found[0]}, and this version of SarvanOM needs {HEAD}: run `sarvanom migrate`"
        )
