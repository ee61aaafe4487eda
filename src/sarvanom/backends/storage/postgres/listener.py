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
            await self._check()

    def announce(self) -> None:
        """Wake who waits: this process has written."""
        heard, self._next = self._next, asyncio.Event()
        heard.set()

    async def aclose(self) -> None:
        """Close the connection."""
        self._is_closed = True
        self.announce()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._session is not None:
            await close(self._session)

    @property
    def _is_listening(self) -> bool:
        return self._session is not None and self._session.is_open

    def _listen_soon(self) -> None:
        """Connect in the background: who waits has to look anyhow as long as nobody listens."""
        if self._is_closed or (self._connecting is not None and not self._connecting.done()):
            return
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

    async def _check(self) -> None:
        """Break off a connection that no longer hears: a network that was cut says nothing."""
        session = self._session
        if session is None or not session.is_idle:
            return
        with suppress(*FAILURES):
            if (await session.fetch_one(_IS_LISTENING, {"channel": CHANNEL}))[0]:
                return
        session.drop()

    def _hear(self, *_: Any) -> None:
        self.announce()
