"""A bounded pool of connections to one address: the last one used is the first one used again."""

import asyncio
from collections import deque
from dataclasses import dataclass

from sarvanom.shared.clients.dialing import Address, dial
from sarvanom.shared.clients.http_connection import HTTPConnection
from sarvanom.shared.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What a pool may use; times are in seconds."""

    connections: int = 64
    idle_timeout: float = 30.0
    connect_timeout: float = 2.0
    response_bytes: int = 64 * 1024 * 1024


class ConnectionPool:
    """The connections to one address.

    Every connection occupies a slot, from before it is opened until it is gone. A slot belongs to a request, to a
    connection that is idle, or passes to the request that has waited longest.
    """

    def __init__(self, address: Address, limits: PoolLimits) -> None:
        self._idle: list[HTTPConnection] = []
        self._address = address
        self._limits = limits
        self._slots = 0
        self._closed = False
        self._connections: set[HTTPConnection] = set()
        self._waiters: deque[asyncio.Future[HTTPConnection | None]] = deque()
        self._reaper: asyncio.TimerHandle | None = None

    async def take(self, deadline: float, *, fresh: bool = False) -> HTTPConnection:
        """Return a connection, or a `fresh` one, which `release` must get back whatever happens.

        Raises:
            ServiceUnavailable: none could be had before the deadline (in the loop's time), or the pool is closed.
        """
        if self._closed:
            raise ServiceUnavailable("The connection to the service is closed")
        if self._idle and not fresh:
            return self._idle.pop()
        if self._slots < self._limits.connections:
            self._slots += 1
        else:
            connection = await self._wait(deadline)
            if connection is not None:
                if connection.is_idle and not fresh:
                    return connection
                connection.abort()
        try:
            return await self._connect(deadline)
        except BaseException:
            self._free_slot()
            raise

    def release(self, connection: HTTPConnection) -> None:
        """Take a connection back: for the next request if it is idle, else it is dropped."""
        if self._closed or not connection.is_idle:
            connection.abort()
            self._free_slot()
            return
        connection.is_reused = True
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(self._limits.idle_timeout, self._reap)

    async def aclose(self) -> None:
        """Drop all connections, also those in use, and turn away who waits; idempotent."""
        self._closed = True
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(ServiceUnavailable("The connection to the service is closed"))
        if self._reaper is not None:
            self._reaper.cancel()
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.gone for connection in connections))

    async def _wait(self, deadline: float) -> HTTPConnection | None:
        """Return a connection that another request gave back, or None for a slot to open one in."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[HTTPConnection | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_at(deadline, _turn_away, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise
        finally:
            timer.cancel()

    async def _connect(self, deadline: float) -> HTTPConnection:
        loop = asyncio.get_running_loop()
        seconds = min(self._limits.connect_timeout, deadline - loop.time())
        connection = await dial(self._protocol, self._address, seconds)
        if self._closed or not connection.is_open:
            connection.abort()
            raise ServiceUnavailable("The connection to the service is closed")
        self._connections.add(connection)
        connection.gone.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    def _protocol(self) -> HTTPConnection:
        return HTTPConnection(self._limits.response_bytes, self._forget)

    def _forget(self, connection: HTTPConnection) -> None:
        """Note that a connection is closed; while a request has it, the slot is the request's to free."""
        if connection in self._idle:
            self._idle.remove(connection)
            self._free_slot()

    def _pass_on(self, connection: HTTPConnection | None) -> None:
        if connection is None:
            self._free_slot()
        else:
            self.release(connection)

    def _free_slot(self) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._slots -= 1

    def _next_waiter(self) -> asyncio.Future[HTTPConnection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _reap(self) -> None:
        """Close the connections that were idle for too long; the oldest stand first."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._limits.idle_timeout
        for connection in [one for one in self._idle if one.idle_since <= oldest]:
            connection.abort()
        if self._idle:
            self._reaper = loop.call_later(self._idle[0].idle_since - oldest, self._reap)


def _turn_away(waiter: asyncio.Future[HTTPConnection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(ServiceUnavailable("All connections to the service are busy"))
