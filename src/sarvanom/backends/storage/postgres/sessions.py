"""One connection to PostgreSQL, with its statements prepared and somebody who watches the time."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from sarvanom.backends.storage.postgres.failures import FAILURES, is_lost
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.shared.trace_context import begin_span

GRACE: Final = 0.5
"""How much longer than the server this side waits for a statement, in seconds."""
_MAX_PREPARED: Final = 256


class Session:
    """One connection and its prepared statements.

    Statements have no timers of their own, which would cost a read as much as its parameters do: `Watchdog` looks now
    and then whether one has taken too long.
    """

    def __init__(self, connection: asyncpg.Connection, statement_timeout: float) -> None:
        self.connection = connection
        self.process_id: int = connection.get_server_pid()
        self.is_overdue = False
        self.is_proven = False
        self._seconds = self._usual_seconds = statement_timeout + GRACE
        self._clock = asyncio.get_running_loop().time
        self._busy_since: float | None = None
        self._prepared: dict[str, PreparedStatement[Any]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the connection may be used."""
        return not self.connection.is_closed()

    @property
    def is_idle(self) -> bool:
        """Whether no statement is under way."""
        return self._busy_since is None

    @property
    def has_begun(self) -> bool:
        """Whether a transaction is under way."""
        return self.connection.is_in_transaction()

    async def fetch(self, sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        """Return all rows of a statement."""
        if (span := begin_span()) is not None:
            with telling("postgresql", sql.text, span):
                return await self._fetch(sql, values)
        return await self._fetch(sql, values)

    async def _fetch(self, sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        self._busy_since = self._clock()
        try:
            statement = self._prepared.get(sql.text) or await self._prepare(sql)
            return await statement.fetch(*sql.arguments(values))
        finally:
            self._busy_since = None

    async def fetch_one(self, sql: SQL, values: dict[str, Any]) -> Any:
        """Return the first row of a statement, or None."""
        if (span := begin_span()) is not None:
            with telling("postgresql", sql.text, span):
                return await self._fetch_one(sql, values)
        return await self._fetch_one(sql, values)

    async def _fetch_one(self, sql: SQL, values: dict[str, Any]) -> Any:
        self._busy_since = self._clock()
        try:
            statement = self._prepared.get(sql.text) or await self._prepare(sql)
            return await statement.fetchrow(*sql.arguments(values))
        finally:
            self._busy_since = None

    async def execute(self, script: str) -> None:
        """Run statements without parameters."""
        if (span := begin_span()) is not None:
            with telling("postgresql", script, span):
                await self._execute(script)
        else:
            await self._execute(script)

    async def _execute(self, script: str) -> None:
        self._busy_since = self._clock()
        try:
            await self.connection.execute(script)
        finally:
            self._busy_since = None

    async def allow(self, seconds: float) -> None:
        """Let the statements of this transaction take longer than others, until `restore_time`."""
        await self.execute(f"SET LOCAL statement_timeout = {seconds * 1000:.0f}")
        self._seconds = max(self._usual_seconds, seconds + GRACE)

    def restore_time(self) -> None:
        """Let statements take as long as ever: a transaction has ended."""
        self._seconds = self._usual_seconds

    def has_failed(self, error: BaseException) -> bool:
        """Tell whether after this error the connection, or what is prepared on it, is of no more use."""
        return self.is_overdue or not self.is_open or is_lost(error)

    def check_time(self) -> bool:
        """Break off if a statement has taken longer than the server would let it; tell whether that was so."""
        if self._busy_since is None or self._clock() - self._busy_since < self._seconds:
            return False
        self.is_overdue = True
        self.drop()
        return True

    def drop(self) -> None:
        """Break the connection off."""
        self.connection.terminate()

    async def _prepare(self, sql: SQL) -> "PreparedStatement[Any]":
        if len(self._prepared) >= _MAX_PREPARED:
            self._prepared.clear()
        statement = self._prepared[sql.text] = await self.connection.prepare(sql.text)
        return statement


class Watchdog:
    """Looks after the sessions of one process with one timer.

    One that is overdue has met a server, or a network, that does not even answer that time is up. Those that idle are
    broken off with it, for nothing better awaits who would use them.
    """

    _SECONDS_BETWEEN_LOOKS: Final = 0.25

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, session: Session) -> None:
        """Look after a session until it is closed."""
        self._sessions.add(session)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._SECONDS_BETWEEN_LOOKS, self._look)

    def _look(self) -> None:
        self._sessions = {session for session in self._sessions if session.is_open}
        overdue = {session for session in self._sessions if session.check_time()}
        if overdue:
            for session in self._sessions - overdue:
                if session.is_idle:
                    session.drop()
        if self._sessions:
            self._set_timer()
        else:
            self._timer = None


async def close(session: Session) -> None:
    """Take leave of the server, or break off if it does not answer."""
    try:
        await session.connection.close(timeout=1.0)
    except FAILURES:
        session.drop()
