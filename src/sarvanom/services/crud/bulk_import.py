"""An import as a stream: results go out while lines still come in, a group of lines to a transaction."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final

from sarvanom.services.crud.bulk_lines import GROUP_LINES, Entry, LineImport, LineWrite
from sarvanom.web.bulk_lines import LineSplitter

GROUP_BYTES: Final = 4 * 2**20
MAX_SUBMITTED: Final = 4
"""Groups that the store has at once: while it stores two in one commit, the next two wait, and share another."""


class _Arrivals:
    """What has been read and not yet taken: at most one group."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._size = 0
        self._has_ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, entry: Entry, size: int) -> None:
        """Add an entry, once there is room."""
        while len(self._entries) >= GROUP_LINES or self._size >= GROUP_BYTES:
            self._room.clear()
            await self._room.wait()
        self._entries.append(entry)
        self._size += size
        self._news.set()

    def end(self) -> None:
        """Say that nothing more will come."""
        self._has_ended = True
        self._news.set()

    async def take(self) -> list[Entry]:
        """Return everything that is here, as soon as there is something; nothing at the end."""
        while not self._entries and not self._has_ended:
            self._news.clear()
            await self._news.wait()
        taken, self._entries, self._size = self._entries, [], 0
        self._room.set()
        return taken


class _Submissions:
    """Groups that the store has been given, in their order."""

    def __init__(self, lines: LineImport) -> None:
        self._lines = lines
        self._tasks: asyncio.Queue[asyncio.Task[list[bytes]] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(MAX_SUBMITTED)
        self._under_way: set[asyncio.Task[list[bytes]]] = set()

    async def submit_all(self, arrivals: _Arrivals) -> None:
        """Give the store what arrives, until nothing more does."""
        try:
            while True:
                await self._room.acquire()
                entries = await arrivals.take()
                if not entries:
                    break
                # Begun at once, for the store carries out groups in the order in which it is called.
                task = asyncio.eager_task_factory(asyncio.get_running_loop(), self._lines.carry_out(entries))
                self._under_way.add(task)
                self._tasks.put_nowait(task)
        finally:
            self._tasks.put_nowait(None)

    async def results(self) -> AsyncGenerator[bytes]:
        """Yield the results of each group."""
        while task := await self._tasks.get():
            results = await task
            self._under_way.discard(task)
            self._room.release()
            yield b"".join(results)

    async def aclose(self) -> None:
        """Wait no longer for what the store has."""
        await _cancel(*self._under_way)


async def import_stream(lines: LineImport, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the results of lines, in their order, group by group; one group is read ahead of those that the store has.

    Raises what `chunks` raises, once what came before has been answered.
    """
    arrivals, submissions = _Arrivals(), _Submissions(lines)
    reading = asyncio.create_task(_read(lines, chunks, arrivals))
    submitting = asyncio.create_task(submissions.submit_all(arrivals))
    try:
        async for results in submissions.results():
            yield results
        await reading
    finally:
        await _cancel(reading, submitting)
        await submissions.aclose()


async def _read(lines: LineImport, chunks: AsyncIterable[bytes], arrivals: _Arrivals) -> None:
    splitter = LineSplitter(lines.line_limit)
    try:
        async for chunk in chunks:
            for line in splitter.feed(chunk):
                entry = lines.read(line)
                await arrivals.put(entry, len(line.text or b""))
                if isinstance(entry, LineWrite) and entry.is_sealed:
                    await asyncio.sleep(0)  # sealing takes its time, and others have requests too
        for line in splitter.finish():
            await arrivals.put(lines.read(line), len(line.text or b""))
    finally:
        arrivals.end()


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
