"""How connections to PostgreSQL are opened, and what is asked of the database behind them."""

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import structlog
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.engine.interfaces import Dialect

from sarvanom.backends.storage.postgres.failures import FAILURES, translated
from sarvanom.backends.storage.postgres.sessions import Session, Watchdog
from sarvanom.backends.storage.schema import VERSION_TABLE, IncompatibleDatabase, check_version
from sarvanom.shared.errors import ServiceUnavailable

DIALECT: Final[Dialect] = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
_COMPRESS_FAST: Final = (
    "SELECT set_config(name, 'lz4', false) FROM pg_settings "
    "WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)
"""PostgreSQL's own compression takes seconds for tens of megabytes, during which nobody else may write."""
ROOM: Final = (
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int "
    "- coalesce(current_setting('reserved_connections', true)::int, 0), "  # PostgreSQL 16 and newer
    "(SELECT sum(numbackends)::int FROM pg_stat_database)"
)
"""The two numbers of a `ServerRoom`, as columns of a query; everybody may read them."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds in seconds.

    `idle` is how long a transaction may stand still, which holds up all who write; `pause` is how long a failed attempt
    to connect keeps others from trying. `connect` and `pause` together bound how long a database that is back goes
    unnoticed: 2 s.
    """

    connect: float = 1.5
    statement: float = 5.0
    lock: float = 3.0
    idle: float = 5.0
    queue: float = 2.0
    pause: float = 0.2

    @property
    def server_settings(self) -> dict[str, str]:
        """What the server is told, so that it too lets go of what nobody waits for; PostgreSQL 14 knows them all."""
        return {
            "application_name": "sarvanom",
            "statement_timeout": f"{self.statement * 1000:.0f}",
            "lock_timeout": f"{self.lock * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{self.idle * 1000:.0f}",
            "tcp_user_timeout": "10000",
            "client_connection_check_interval": "1000",
            "default_transaction_isolation": "read committed",
            "synchronous_commit": "on",
            # Every statement has an index. Without this, one that is planned while its table is nearly empty would go
            # on reading the whole of it when it has grown.
            "enable_seqscan": "off",
            # What is read whole all the same, such as a table of five rows, is then taken for so dear that versions
            # before 18 would compile for it, which takes longer than any statement of ours.
            "jit": "off",
        }


class Connector:
    """Opens sessions, and keeps a database that is away from being asked by everybody all the time."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        """Take a URL; raises `ValueError` if it cannot be read."""
        check_url(url)
        self._url = url
        self.timeouts = timeouts
        self._watchdog = Watchdog()
        self._refusal: ServiceUnavailable | None = None
        self._refused_until = 0.0
        self._is_probing = False

    async def connect(self) -> Session:
        """Open a session on a database of the right schema; raises `ServiceUnavailable`.

        While the database is away one caller at a time finds out whether it is back, and the others are told at once.
        """
        if self._refusal is None:
            return await self._attempt()
        if self._is_probing or asyncio.get_running_loop().time() < self._refused_until:
            raise ServiceUnavailable(self._refusal.detail)
        self._is_probing = True
        try:
            return await self._attempt()
        finally:
            self._is_probing = False

    async def open_any(self) -> Session:
        """Open a session whatever the schema; raises `ServiceUnavailable`."""
        timeouts = self.timeouts
        try:
            connection: asyncpg.Connection = await asyncpg.connect(
                self._url, timeout=timeouts.connect, server_settings=timeouts.server_settings
            )
        except FAILURES as error:
            raise translated(error) from error
        session = Session(connection, timeouts.statement)
        self._watchdog.add(session)
        return session

    async def _attempt(self) -> Session:
        try:
            async with asyncio.timeout(self.timeouts.connect):
                session = await self._open()
        except (ServiceUnavailable, TimeoutError) as error:
            refusal = error if isinstance(error, ServiceUnavailable) else translated(error)
            if self._refusal is None:
                _log.warning("database is away", reason=refusal.detail, cause=type(error.__cause__ or error).__name__)
            self._refusal = refusal
            self._refused_until = asyncio.get_running_loop().time() + self.timeouts.pause
            raise refusal from error
        if self._refusal is not None:
            _log.info("database is back")
        self._refusal = None
        return session

    async def _open(self) -> Session:
        session = await self.open_any()
        try:
            await _check_fit(session)
        except BaseException as error:
            session.drop()
            if isinstance(error, FAILURES):
                raise translated(error) from error
            raise
        return session


async def _check_fit(session: Session) -> None:
    """Refuse a standby, and a schema that is not the one this code knows; raises `ServiceUnavailable`."""
    if getattr(session.connection.get_settings(), "in_hot_standby", "off") == "on":
        raise translated(asyncpg.ReadOnlySQLTransactionError())
    try:
        version = await read_version(session)
    except IncompatibleDatabase as error:
        raise ServiceUnavailable(str(error)) from error
    if version is not None and not version[1]:
        await session.connection.fetch(_COMPRESS_FAST)
    else:
        raise ServiceUnavailable("The database has no up-to-date schema; run `sarvanom migrate`")


def check_url(url: str) -> None:
    """Refuse a URL that cannot be read, without a word of what is in it; raises `ValueError`."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("postgresql", "postgres") and (parts.netloc.count(",") or parts.port != 0)
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(
            "The database's URL cannot be read; it must be postgresql://USER:PASSWORD@HOST:PORT/NAME, "
            "with characters such as / @ : # escaped in the password"
        )


async def read_version(session: Session) -> tuple[str, bool] | None:
    """Return the schema's version and whether it must be migrated; None for a database without tables of ours.

    Raises:
        IncompatibleDatabase: it is newer than this code, not whole, or another program's.
    """
    rows = await session.connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    tables = {row[0] for row in rows}
    if VERSION_TABLE not in tables:
        if tables:
            raise IncompatibleDatabase("The database is not empty, and nothing in it says that it is SarvanOM's")
        return None
    try:
        found = await session.connection.fetch(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    except asyncpg.UndefinedColumnError:
        raise IncompatibleDatabase(f"The database is another program's: its {VERSION_TABLE} is not ours") from None
    versions = [str(row[0]) for row in found]
    if versions and "counters" not in tables:
        raise IncompatibleDatabase("The database is half migrated, or another program's: it lacks counters")
    return versions[0] if versions else "", check_version(versions, tables)
