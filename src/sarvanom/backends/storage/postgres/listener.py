"""Hearing of new revisions: LISTEN on a connection of its own, and a look now and then behind it."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from sarvanom.backends.storage.postgres.connections import Connector
from sarvanom.backends.storage.postgres.failures import FAILURES
from sarvanom.backends.storage.postgres.sessions import Session, close
from sarvanom.backends.storage.postgres.statements import CHANNEL
from sarvanom.backends.storage.sql import SQL
from sarvanom.shared.errors import SarvanOMError

_SECONDS_BETWEEN_LOOKS: Final = 1.0
_IS_LISTENING: Final = SQL("SELECT $1::text IN (SELECT pg_listening_channels())", ("channel",))


class Listener:
    """Wakes who waits when the database says that somebody has written; begins with the first that waits."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._session: Session | None = None
        self._next = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def next(self) -> asyncio.Event:
        """Set when something is next written; to be taken before looking for what there is."""
        return self._next

    async def wait(self, next: asyncio.Event, seconds: float) -> None:
        """Return when `next` is set, or after the time, or when it is time to look."""
        if not self._is_listening:
            self._listen_soon()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _SECONDS_BETWEEN_LOOKS)):
                await next.wait()
                return
        if seconds >= _SECONDS_BETWEEN_LOOKS and self._is_listening:
            self._check_soon()

    def announce(self) -> None:
        """Wake who waits: this process has written."""
        heard, self._next = self._next, asyncio.Event()
        heard.set()

    async def aclose(self) -> None:
        """Close the connection."""
        self._is_closed = True
        self.announce()
        for task in (self._connecting, self._checking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._session is not None:
            await close(self._session)

    @property
    def _is_listening(self) -> bool:
        return self._session is not None and self._session.is_open

    def _listen_soon(self) -> None:
        """Connect in the background: who waits has to look anyhow as long as nobody listens."""
        if not self._is_closed and _is_over(self._connecting):
            self._connecting = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with suppress(SarvanOMError, *FAILURES):
            session = await self._connector.connect()
            try:
                await session.connection.add_listener(CHANNEL, self._hear)
            except BaseException:
                session.drop()
                raise
            self._session = session
            self.announce()  # something may have been written before we listened

    def _check_soon(self) -> None:
        """Ask in the background, for as long as it takes: meanwhile this process may write, and who waits may look."""
        if self._session is not None and not self._is_closed and _is_over(self._checking):
            self._checking = asyncio.create_task(self._check(self._session))

    async def _check(self, session: Session) -> None:
        """Break off a connection that no longer hears: a network that was cut says nothing."""
        with suppress(*FAILURES):
            if (await session.fetch_one(_IS_LISTENING, {"channel": CHANNEL}))[0]:
                return
        session.drop()

    def _hear(self, *_: Any) -> None:
        self.announce()


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()
