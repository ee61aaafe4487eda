"""Lines out of a stream of bytes, in bounded memory."""

from collections.abc import AsyncIterable, AsyncIterator
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

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that end in this chunk."""
        end, *whole = chunk.split(_LF)
        self._add(end)
        if not whole:
            return []
        rest = whole.pop()
        lines = self._lines([self._take(), *whole])
        self._add(rest)
        return lines

    def finish(self) -> list[Line]:
        """Return the last line if there is no newline behind it."""
        return self._lines([self._take()])

    def _lines(self, texts: list[bytes | None]) -> list[Line]:
        """Number the texts, of which None is one that was too long, and return those that are not blank."""
        limit, first = self._limit, self._number + 1
        self._number += len(texts)
        return [
            Line(number, None if text is None or len(text) > limit else text.removesuffix(b"\r"))
            for number, text in enumerate(texts, first)
            if text is None or len(text) > limit or (text and not text.isspace())
        ]

    def _take(self) -> bytes | None:
        """Return the line of which all parts are here; None if it is longer than may be."""
        text = b"".join(self._parts) if self._size <= self._limit else None
        self._parts.clear()
        self._size = 0
        return text

    def _add(self, text: bytes) -> None:
        self._size += len(text)
        if self._size > self._limit:
            self._parts.clear()
        elif text:
            self._parts.append(text)


async def read_lines(chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[Line]:
    """Yield the lines of a stream; see `LineSplitter`."""
    splitter = LineSplitter(limit)
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.finish():
        yield line
