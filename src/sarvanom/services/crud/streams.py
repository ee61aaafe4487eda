"""Answers that are made while they are sent."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from sarvanom.web.calls import Headers
from sarvanom.web.request_headers import NDJSON

VARY: Final = (b"vary", b"accept")
LINES_HEADERS: Final[Headers] = [(b"content-type", NDJSON.encode()), (b"x-accel-buffering", b"no"), VARY]
PIECE_BYTES: Final = 2**18
"""How much is handed over at once: a reader has a bounded time to take it."""


class BegunChunks:
    """A stream whose first chunk is made before it is answered, so that what fails at once is answered as an error."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in cut(self._first):
            yield piece
        async for chunk in self._rest:
            for piece in cut(chunk):
                yield piece

    async def aclose(self) -> None:
        """Let go of what the chunks are made from."""
        await self._rest.aclose()


async def begin(chunks: AsyncGenerator[bytes]) -> BegunChunks:
    """Make the first chunk of a stream."""
    try:
        return BegunChunks(await anext(chunks, b""), chunks)
    except BaseException:
        await chunks.aclose()
        raise


def cut(chunk: bytes) -> list[bytes]:
    """Return a chunk in pieces."""
    if len(chunk) <= PIECE_BYTES:
        return [chunk] if chunk else []
    return [chunk[start : start + PIECE_BYTES] for start in range(0, len(chunk), PIECE_BYTES)]
