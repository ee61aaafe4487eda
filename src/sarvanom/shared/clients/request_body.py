"""The source of a request's body, watched by the transport that sends it."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Self


class WatchedBody(AsyncIterator[bytes]):
    """Passes a body on; `is_taken` tells whether anyone has begun to read it, and `error` is what it raised.

    What is taken cannot be sent again, and what the source raises is not the service's fault.
    """

    __slots__ = ("_chunks", "_source", "error", "is_taken")

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source
        self._chunks: AsyncIterator[bytes] | None = None
        self.is_taken = False
        self.error: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next part."""
        self.is_taken = True
        try:
            if self._chunks is None:
                self._chunks = aiter(self._source)
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise

    async def aclose(self) -> None:
        """Close the source, if reading it was begun, so that it does not outlive its request; idempotent."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
