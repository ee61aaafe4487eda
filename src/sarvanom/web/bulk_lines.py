"""Lines out of a stream of bytes, in bounded memory."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Final, NamedTuple

_LF: Final = b"\n"


class Line(NamedTuple):
    """A line that is not blank: its number from 1, and its text, which is None if it is longer than may be."""

    number: int
    text: bytes | None


class LineSplitter:
    """Cuts chunks into lines that end with LF or CRLF, the last one perhaps with neither; blank ones are counted."""

    def __init__(self, limit: int) -> None:
        """Take the number of bytes that a line may have; of one that has more nothing is kept."""
        self._limit = limit
        self._number = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        *ended, rest = chunk.split(_LF)
        for text in ended:
            if (line := self._end(text)) is not None:
                yield line
        self._add(rest)

    def finish(self) -> Iterator[Line]:
        """Yield the last line if there is no newline behind it."""
        if (line := self._end(b"")) is not None:
            yield line

    def _add(self, text: bytes) -> None:
        self._size += len(text)
        if self._size > self._limit:
            self._parts.clear()
        elif text:
            self._parts.append(text)

    def _end(self, text: bytes) -> Line | None:
        self._number += 1
        if self._size:
            self._add(text)
            text = b"".join(self._parts)
            self._parts.clear()
        size = self._size or len(text)
        self._size = 0
        if size > self._limit:
            return Line(self._number, None)
        return Line(self._number, text.removesuffix(b"\r")) if text and not text.isspace() else None


async def read_lines(chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[Line]:
    """Yield the lines of a stream; see `LineSplitter`."""
    splitter = LineSplitter(limit)
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.finish():
        yield line
