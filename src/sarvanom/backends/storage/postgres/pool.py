"""A bounded pool of sessions."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any, Final

from sarvanom.backends.storage.postgres.connections import Connector
from sarvanom.backends.storage.postgres.failures import FAILURES, translated
from sarvanom.backends.storage.postgres.sessions import Session, close
from sarvanom.backends.storage.sql import SQL
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.observations import PoolState, PoolWaited, offer, tell

_RECOVERY_SECONDS: Final = 2.0
_BUSY: Final = "All connections to the database are busy; try again"


class Pool:
    """At most `size` sessions; the last one used is the first one used again.

    A session belongs to who uses it, is idle, or passes to who has waited longest. What may take long gets half of them
    at most, so that reads by id go on beside it.
    """

    def __init__(self, connector: Connector, size: int) -> None:
        self._connector = connector
        self._size = self._free = size
        self._waiting = 0
        self._end_report = offer(self._report)
        self._idle: list[Session] = []
        self._waiters: deque[asyncio.Future[Session | None]] = deque()
        self._slow = asyncio.Semaphore((size + 1) // 2)
        self._recoveries: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def fetch_one(self, sql: SQL, values: dict[str, Any]) -> Any:
        """Return the first row of a statement that only reads; asked once more if the connection was lost."""
        return await self.read(lambda session: session.fetch_one(sql, values))

    async def fetch(self, sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        """Return the rows of a statement that only reads; asked once more if the connection was lost."""
        rows: Sequence[Any] = await self.read(lambda session: session.fetch(sql, values))
        return rows

    async def read_slowly[T](self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that only reads and may take long; see `read`."""
        async with self._slow_turn():
            return await self.read(work)

    async def read[T](self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that only reads, and once more on a fresh connection if the first was lost.

        Raises:
            ServiceUnavailable: the database is away or too busy.
        """
        session = await self._take()
        try:
            result = await work(session)
        except FAILURES as error:
            if not session.has_failed(error):
                self._recover(session)
                raise translated(error) from error
            session.drop()
            if session.is_overdue:
                self._free_slot()
                raise translated(TimeoutError()) from error
        except BaseException:
            self._recover(session)
            raise
        else:
            self._give_back(session)
            return result
        async with self._lend(await self._open()) as fresh:
            return await work(fresh)

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[Session]:
        """Lend a session for work that may take long; a transaction left open is rolled back.

        Raises:
            ServiceUnavailable: the database is away or too busy.
        """
        async with self._slow_turn(), self._lend(await self._take()) as session:
            yield session

    async def aclose(self) -> None:
        """Close what is idle, and the rest as it comes back."""
        self._is_closed = True
        self._end_report()
        await asyncio.gather(*self._recoveries)
        while self._idle:
            await close(self._idle.pop())

    @asynccontextmanager
    async def _slow_turn(self) -> AsyncGenerator[None]:
        if self._slow.locked():
            with self._waiting_told():
                try:
                    async with asyncio.timeout(self._connector.timeouts.queue):
                        await self._slow.acquire()
                except TimeoutError:
                    raise ServiceUnavailable(_BUSY) from None
        else:
            await self._slow.acquire()
        try:
            yield
        finally:
            self._slow.release()

    @asynccontextmanager
    async def _lend(self, session: Session) -> AsyncGenerator[Session]:
        try:
            yield session
        except FAILURES as error:
            if not session.has_failed(error):
                self._recover(session)
                raise translated(error) from error
            session.drop()
            self._free_slot()
            raise translated(TimeoutError() if session.is_overdue else error) from error
        except BaseException:
            self._recover(session)
            raise
        self._give_back(session)

    async def _take(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if session.is_open:
                return session
            self._free += 1
        if self._is_closed:
            raise ServiceUnavailable("The store is closed")
        if self._free:
            self._free -= 1
        elif (given := await self._wait()) is not None:
            return given
        return await self._open()

    async def _open(self) -> Session:
        """Open a session in a place that the caller has."""
        try:
            return await self._connector.connect()
        except BaseException:
            self._free_slot()
            raise

    async def _wait(self) -> Session | None:
        """Return a session that another gave back, or None for the right to open one."""
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            with self._waiting_told():
                async with asyncio.timeout(self._connector.timeouts.queue):
                    return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable(_BUSY) from None
            raise

    @contextmanager
    def _waiting_told(self) -> Iterator[None]:
        began = perf_counter()
        self._waiting += 1
        try:
            yield
        except (TimeoutError, ServiceUnavailable):
            tell(PoolWaited(perf_counter() - began, "timeout"))
            raise
        finally:
            self._waiting -= 1
        tell(PoolWaited(perf_counter() - began, "served"))

    def _report(self) -> Iterator[PoolState]:
        idle = len(self._idle)
        yield PoolState(self._size, self._size - self._free - idle, idle, self._waiting)

    def _pass_on(self, session: Session | None) -> None:
        if session is None:
            self._free_slot()
        else:
            self._give_back(session)

    def _recover(self, session: Session) -> None:
        """Put in order, in the background, a session whose user broke off; its place is taken until that is done.

        The server may still be at work: a connection opened in the place of this one would be one too many.
        """
        task = asyncio.create_task(self._roll_back(session))
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    async def _roll_back(self, session: Session) -> None:
        try:
            async with asyncio.timeout(_RECOVERY_SECONDS):
                await session.execute("ROLLBACK")  # the driver waits first until what was under way has been cancelled
        except FAILURES:
            session.drop()
        self._give_back(session)

    def _give_back(self, session: Session) -> None:
        if self._is_closed or not session.is_open:
            session.drop()
            self._free_slot()
            return
        waiter = self._next_waiter()
        if waiter is None:
            self._idle.append(session)
        else:
            waiter.set_result(session)

    def _free_slot(self) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self._free += 1
        else:
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Session | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None
