"""The connections of streams to one address: bounded, one for each stream, never used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sarvanom.shared.clients.dialing import Address, dial
from sarvanom.shared.clients.stream_connection import StreamConnection
from sarvanom.shared.clients.stream_slots import StreamSlots
from sarvanom.shared.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What the streams to one address may use; times are in seconds."""

    streams: int = 2_000
    idle_timeout: float = 60.0
    connect_timeout: float = 2.0


class StreamPool:
    """The streams to one address. They are beside the pool of connections, so that watchers leave it to requests."""

    def __init__(self, address: Address, limits: StreamLimits) -> None:
        self._address = address
        self._limits = limits
        self._slots = StreamSlots(limits.streams)
        self._closed = False
        self._connections: set[StreamConnection] = set()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[StreamConnection]:
        """Open a connection for one stream, and drop it at the end.

        Raises:
            ServiceUnavailable: there is none to be had, there are too many streams, or the pool is closed.
        """
        if self._closed:
            raise ServiceUnavailable("The connection to the service is closed")
        with self._slots.take():
            connection = await self._dial()
            try:
                yield connection
            finally:
                await connection.aclose()
            connection.raise_unseen()

    async def aclose(self) -> None:
        """Break all streams off; idempotent."""
        self._closed = True
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.gone for connection in connections))

    async def _dial(self) -> StreamConnection:
        limits = self._limits
        connection = await dial(lambda: StreamConnection(limits.idle_timeout), self._address, limits.connect_timeout)
        self._connections.add(connection)
        connection.gone.add_done_callback(lambda _: self._connections.discard(connection))
        if self._closed or not connection.is_open:
            connection.abort()
            raise ServiceUnavailable("The connection to the service is closed")
        return connection
