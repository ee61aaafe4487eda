"""Streams, and bodies that take their time, last no longer than it is proven who asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from starlette.types import Scope

from sarvanom.security.principals import Principal
from sarvanom.shared.errors import Unauthorized

PROOF: Final = "sarvanom.proof"
"""Where the scope keeps the `Proof` of who asks."""

REFUTATION: Final = "sarvanom.refutation"
"""Where the scope keeps the `Refutation` of a stream."""


class Authenticator(Protocol):
    """Decides whom a bearer token proves."""

    def recall(self, token: str) -> Principal | None:
        """Return who bears the token, if that is remembered and needs no asking."""

    def is_stranger(self, token: str) -> bool:
        """Tell whether somebody else has to be asked about a token that was never seen to be good."""

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token.

        Raises:
            Unauthorized: nobody does: it is malformed, unknown, expired or revoked.
            ServiceUnavailable: that cannot be found out now.
        """

    async def until_refuted(self, token: str, principal: Principal) -> None:
        """Return when the token no longer proves this very principal, or that cannot be found out."""


type Proof = tuple[Authenticator, str, Principal]
"""Who decides, of which token, and whom it proved when the request began."""


async def prove_again(scope: Scope) -> None:
    """Look again whether it is still proven who asks.

    Raises:
        Unauthorized: it is not.
        ServiceUnavailable: that cannot be found out now.
    """
    proof: Proof | None = scope.get(PROOF)
    if proof is None:
        return
    authenticator, token, principal = proof
    if await authenticator.authenticate(token) != principal:
        raise _refuted()


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
