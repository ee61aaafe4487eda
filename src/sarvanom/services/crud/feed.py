"""One reading of the log for all who watch it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from contextvars import Context
from dataclasses import replace
from typing import Final

import structlog

from sarvanom.backends.storage.log import RevisionLog
from sarvanom.services.crud.rendering import frame_for, render_heartbeat
from sarvanom.services.crud.ring import BATCH_BYTES, Ring
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import RevisionCompacted, SarvanOMError
from sarvanom.shared.observations import ErrorUnforeseen, WatchState, tell

HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 3600.0
"""After which a watch ends, and its reader resumes: it was proven once who that is."""
_PAGE: Final = 200
_PIECE_BYTES: Final = 64 * 1024
_MAX_PAGES_AT_ONCE: Final = 4
_RETRY_SECONDS: Final = 0.25
_log = structlog.get_logger()


class Feed:
    """The newest changes of a log, kept while anybody watches.

    A watcher has a position and no queue: it reads from the ring, or from the log itself as long as it is behind.
    """

    def __init__(
        self,
        log: RevisionLog,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        longest: float = LONGEST_SECONDS,
        ring: Ring | None = None,
    ) -> None:
        self._source = log
        self._heartbeat = heartbeat
        self._longest = longest
        self._ring = ring or Ring()
        self._newest = 0
        self._moved = asyncio.Event()
        self._reading = asyncio.Semaphore(_MAX_PAGES_AT_ONCE)
        self._positions: dict[object, int] = {}
        self._pump: asyncio.Task[None] | None = None

    async def begin(self, query: ChangeQuery) -> int:
        """Return the revision after which a watch begins: `since`, or else the present.

        Raises:
            RevisionCompacted, ValidationFailed: changes after it are not held, or it is still to come.
            ServiceUnavailable: the log cannot be read.
        """
        bounds = await self._source.bounds()
        self._newest = bounds.head
        return bounds.head if query.since is None else query.begin(bounds)

    async def watch(self, query: ChangeQuery, position: int) -> AsyncGenerator[bytes]:
        """Yield server-sent events for what matches after the revision that `begin` gave, and heartbeats.

        The first has the position as its id, and so has one after which the position moved though nothing matched: a
        reader always resumes where it was. It ends when the log was compacted past its reader, who learns of that by
        resuming, and at the first event or heartbeat after its longest time.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._longest
        watcher = object()
        self._positions[watcher] = position
        self._enter()
        try:
            yield render_heartbeat(self._head, position)
            told, due = position, loop.time() + self._heartbeat
            while True:
                moved = self._moved
                frames, position = await self._next(query, position, due)
                self._positions[watcher] = position
                if not frames:
                    if position >= self._ring.end:
                        await _until(moved, due)
                    else:
                        await asyncio.sleep(0)  # others have their turn, however much there is that does not match
                    if loop.time() < due:
                        continue
                    frames = [render_heartbeat(self._head, position if position != told else None)]
                for piece in _pieces(frames):
                    yield piece
                told, due = position, loop.time() + self._heartbeat
                if loop.time() >= end:
                    return
        except RevisionCompacted:
            return
        finally:
            self._leave(watcher)

    def report(self) -> Iterator[WatchState]:
        """Tell how many watch, and how far behind they are."""
        slowest = min(self._positions.values(), default=self._head)
        yield WatchState(len(self._positions), max(0, self._head - slowest))

    @property
    def _head(self) -> int:
        return max(self._newest, self._ring.end)

    def _enter(self) -> None:
        if self._pump is None:
            self._ring.restart(self._newest)
            self._pump = asyncio.create_task(self._run(), context=Context())  # it is nobody's alone

    def _leave(self, watcher: object) -> None:
        del self._positions[watcher]
        if not self._positions and self._pump is not None:
            self._pump.cancel()
            self._pump = None

    async def _next(self, query: ChangeQuery, position: int, due: float) -> tuple[list[bytes], int]:
        """Return the frames that come next, and the position behind them; perhaps none, and that until `due`."""
        if position >= self._ring.begin:
            return self._ring.read(query, position)
        try:
            async with asyncio.timeout_at(due):
                await self._reading.acquire()
        except TimeoutError:
            return [], position
        try:
            page = await self._source.page(replace(query, since=position, limit=_PAGE), BATCH_BYTES)
        except RevisionCompacted:
            raise
        except SarvanOMError:
            await asyncio.sleep(_RETRY_SECONDS)
            return [], position
        finally:
            self._reading.release()
        return [frame_for(change, query.services) for change in page.changes], page.until

    async def _run(self) -> None:
        """Follow the log for as long as anybody watches."""
        is_away = False
        while True:
            try:
                await self._follow()
                is_away = False
            except SarvanOMError as error:
                if not is_away:
                    _log.warning("the feed has to wait", reason=error.detail)
                is_away = True
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 (the log says what; watchers wait)
                tell(ErrorUnforeseen(error, "the feed"))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        end = self._ring.end
        if await self._source.wait(end, self._heartbeat) <= end:
            return
        try:
            page = await self._source.page(ChangeQuery(end, limit=_PAGE))
        except RevisionCompacted:
            self._ring.restart((await self._source.bounds()).floor)
        else:
            self._ring.extend(page.changes, page.until)
        self._moved.set()
        self._moved = asyncio.Event()


def _pieces(frames: list[bytes]) -> Iterator[bytes]:
    """Yield frames in pieces of bounded size, so that what watchers share is not copied for each; empties the list."""
    frames.reverse()
    small: list[bytes] = []
    size = 0
    while frames:
        frame = frames.pop()
        if small and size + len(frame) > _PIECE_BYTES:
            yield b"".join(small)
            small, size = [], 0
        if len(frame) <= _PIECE_BYTES:
            small.append(frame)
            size += len(frame)
            continue
        for start in range(0, len(frame), _PIECE_BYTES):
            yield frame[start : start + _PIECE_BYTES]
    if small:
        yield b"".join(small)


async def _until(moved: asyncio.Event, due: float) -> None:
    """Wait for the next change, or until it is time for a heartbeat."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(due):
            await moved.wait()
