"""An import as a stream: results go out while lines still come in, a group of lines to a transaction."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import suppress
from typing import Final

from sarvanom.services.crud.bulk_lines import GROUP_LINES, Entry, LineImport
from sarvanom.web.bulk_lines import LineSplitter

GROUP_BYTES: Final = 4 * 2**20


class _Arrivals:
    """What has been read and not yet taken: at most one group, so that one is read while another is stored."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._size = 0
        self._has_ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, entry: Entry, size: int) -> None:
        """Add an entry, once there is room."""
        while not self._room.is_set() or self._is_full:
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
        self._room.clear()
        return taken

    def make_room(self) -> None:
        """Let the group after the one that was taken be read."""
        self._room.set()

    @property
    def _is_full(self) -> bool:
        return len(self._entries) >= GROUP_LINES or self._size >= GROUP_BYTES


async def import_stream(lines: LineImport, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the results of lines, in their order, group by group; nothing is read ahead but the next group.

    Raises what `chunks` raises, once what came before has been answered.
    """
    arrivals = _Arrivals()
    loop = asyncio.get_running_loop()

    def on_decided() -> None:
        # Any earlier, reading on would contend with the store's thread for the interpreter.
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(arrivals.make_room)

    reading = asyncio.create_task(_read(lines, chunks, arrivals))
    try:
        while entries := await arrivals.take():
            results = await lines.carry_out(entries, on_decided)
            arrivals.make_room()
            yield b"".join(results)
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(lines: LineImport, chunks: AsyncIterable[bytes], arrivals: _Arrivals) -> None:
    splitter = LineSplitter(lines.line_limit)
    try:
        async for chunk in chunks:
            for line in splitter.feed(chunk):
                await arrivals.put(lines.read(line), len(line.text or b""))
        for line in splitter.finish():
            await arrivals.put(lines.read(line), len(line.text or b""))
    finally:
        arrivals.end()
