"""What a token that was verified says, and a memory of such tokens, since signatures are dear."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sarvanom.security.principals import Principal


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Who a token speaks for, and what decides whether it was revoked meanwhile.

    Times are in Unix seconds. `family` is that of the refresh tokens it came with. A token of an outside issuer may
    have no id and no time of issue.
    """

    principal: Principal
    issuer: str
    token_id: str | None
    expires_at: int
    issued_at: int | None = None
    family: str | None = None
    client_id: str | None = None


class VerifiedTokens:
    """Remembers verified tokens by their SHA-256, the most recently used ones, none beyond its expiry or `max_age`.

    Whether a token was revoked is asked of each request, after it was found here.
    """

    def __init__(
        self, *, capacity: int = 4_096, max_age: float = 300.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._capacity = capacity
        self._max_age = max_age
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, VerifiedToken]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, token: str) -> VerifiedToken | None:
        """Return what the token says, if it is remembered and has not expired."""
        key = _key(token)
        found = self._kept.get(key)
        if found is None:
            return None
        until, verified = found
        if self._clock() >= until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return verified

    def put(self, token: str, verified: VerifiedToken) -> None:
        """Remember a token that was just verified."""
        now = self._clock()
        until = min(now + self._max_age, verified.expires_at)
        if until <= now:
            return
        key = _key(token)
        self._kept[key] = (until, verified)
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
