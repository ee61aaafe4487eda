"""The keys of one outside issuer: found by discovery, kept, and asked for again when a token names an unknown one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sarvanom.security.issuer_urls import may_be_read
from sarvanom.security.jose import PublicKey, forged_token, parse_object
from sarvanom.security.jwk_sets import IssuerKey, read_jwk_set
from sarvanom.shared.errors import ServiceUnavailable

type Fetch = Callable[[str], Awaitable[bytes]]
"""Returns the document at a URL; raises `ServiceUnavailable` if it cannot be had."""

DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class KeyLifetimes:
    """Seconds: after `fresh` keys are asked for again, for `stale` more they serve while the issuer is away.

    No two questions follow each other within `pause`, whatever tokens arrive.
    """

    fresh: float = 3_600.0
    stale: float = 86_400.0
    pause: float = 30.0


class IssuerKeys:
    """Keeps what an issuer publishes; callers who need it at the same time share one question."""

    def __init__(
        self,
        issuer: str,
        fetch: Fetch,
        *,
        lifetimes: KeyLifetimes = KeyLifetimes(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._lifetimes = lifetimes
        self._clock = clock
        self._keys: Sequence[IssuerKey] = ()
        self._read_at = float("-inf")
        self._asked_at = float("-inf")
        self._failed = False
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key_id: str, algorithm: str) -> PublicKey:
        """Return the key with this id, if it is one for the algorithm.

        Raises:
            Unauthorized: the issuer has no such key.
            ServiceUnavailable: the issuer cannot be asked.
        """
        await self._ensure_fresh()
        key = self._look_up(key_id, algorithm)
        if key is None and self._may_ask():
            await self._ask()
            key = self._look_up(key_id, algorithm)
        if key is not None:
            return key
        if self._failed:
            raise self._away()
        raise forged_token()

    async def aclose(self) -> None:
        """Give up what is being asked."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    async def _ensure_fresh(self) -> None:
        age = self._clock() - self._read_at
        if age < self._lifetimes.fresh:
            return
        is_usable = age < self._lifetimes.fresh + self._lifetimes.stale
        if self._may_ask():
            if is_usable and self._failed:
                _ = self._begin()  # the issuer was away when it was last asked: nobody waits for it again
            else:
                await self._ask()
        if not is_usable and self._failed:
            raise self._away()

    def _may_ask(self) -> bool:
        return self._asking is not None or self._clock() >= self._asked_at + self._lifetimes.pause

    async def _ask(self) -> None:
        """Ask the issuer, or wait for the answer that another caller has asked for; its failure is remembered."""
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        if self._asking is None:
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._refresh())
        return self._asking

    async def _refresh(self) -> None:
        try:
            self._keys = await self._read()
            self._read_at = self._clock()
            self._failed = False
        except (ServiceUnavailable, ValueError):
            self._failed = True
        finally:
            self._asking = None

    async def _read(self) -> Sequence[IssuerKey]:
        """Read the discovery document (OpenID Connect Discovery 1.0, section 4) and the keys it leads to."""
        found = parse_object(await self._fetch(self._issuer.rstrip("/") + DISCOVERY))
        if found.get("issuer") != self._issuer:
            raise ValueError("the document is another issuer's")
        url = found.get("jwks_uri")
        if not isinstance(url, str) or not may_be_read(url):
            raise ValueError("the document leads to no keys")
        if self._issuer.startswith("https:") and not url.startswith("https:"):
            raise ValueError("the document leads to keys that anybody could change")
        return read_jwk_set(await self._fetch(url))

    def _look_up(self, key_id: str, algorithm: str) -> PublicKey | None:
        return next((key.key for key in self._keys if key.fits(key_id, algorithm)), None)

    def _away(self) -> ServiceUnavailable:
        return ServiceUnavailable("The issuer of the token cannot be asked for its keys")
