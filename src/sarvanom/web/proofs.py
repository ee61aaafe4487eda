"""Streams that last no longer than it is proven who asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from sarvanom.shared.errors import Unauthorized

PROOF: Final = "sarvanom.proof"
"""Where the scope keeps a function that returns an awaitable: done when it is no longer proven who asks."""

REFUTATION: Final = "sarvanom.refutation"
"""Where the scope keeps the `Refutation` of a stream."""


class Refutation:
    """Watches over the proof of who asks, for as long as a stream lasts in either direction."""

    def __init__(self, proof: Callable[[], Awaitable[None]]) -> None:
        async def watch() -> None:
            await proof()

        self._watching = asyncio.create_task(watch())

    def close(self) -> None:
        """Watch no longer."""
        self._watching.cancel()

    @asynccontextmanager
    async def breaking(self) -> AsyncIterator[None]:
        """Break off what goes on in this block when the proof no longer holds.

        Raises:
            Unauthorized: it does not.
        """
        limit = asyncio.timeout(None)

        def end(watching: asyncio.Task[None]) -> None:
            if not watching.cancelled():
                limit.reschedule(0)

        try:
            async with limit:
                self._watching.add_done_callback(end)
                try:
                    if self._watching.done():
                        raise _refuted()
                    yield
                finally:
                    self._watching.remove_done_callback(end)
        except TimeoutError:
            if not limit.expired():
                raise
            raise _refuted() from None

    async def chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the parts of a body while the proof holds; raises `Unauthorized` in place of the next one."""
        while True:
            async with self.breaking():
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk


def _refuted() -> Unauthorized:
    return Unauthorized(
        "The key or token was revoked, changed or has expired since the request began; what was answered was done",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )
