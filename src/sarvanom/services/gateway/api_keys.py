"""API keys as bearer tokens: asked for in crud, and then remembered for no longer than a lease."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sarvanom.security.api_keys import digest_of, is_well_formed
from sarvanom.security.grants import key_end, principal_of_key
from sarvanom.security.principals import Principal
from sarvanom.services.gateway.leases import MAX_REMEMBERED, Leases
from sarvanom.shared.errors import Unauthorized
from sarvanom.shared.models.key_models import ApiKey
from sarvanom.shared.observations import LeaseState

_INVALID: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

type FindKey = Callable[[str], Awaitable[ApiKey | None]]
"""Returns the key that has a digest; raises `ServiceUnavailable` or another error if that cannot be found out."""


class _Bearer(NamedTuple):
    """Whose key it is, and when it ends."""

    principal: Principal
    ends_at: datetime | None


class ApiKeys:
    """Authenticates API keys; what was learned of one is good for a lease, and its expiry counts to the moment."""

    def __init__(
        self,
        find: FindKey,
        *,
        lease: float,
        size: int = MAX_REMEMBERED,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._find_key = find
        self._now = now
        self._known = Leases(self._find, lease=lease, size=size, monotonic=monotonic)
        self._size = size
        self._good: OrderedDict[str, None] = OrderedDict()

    def recall(self, token: str) -> Principal | None:
        """Return whose key it is, if that is remembered and holds; None if `authenticate` has to tell."""
        bearer = self._known.recall(digest_of(token))
        if bearer is None or (bearer.ends_at is not None and bearer.ends_at <= self._now()):
            return None
        return bearer.principal

    def is_stranger(self, token: str) -> bool:
        """Tell whether a well-formed key was not good when it was asked about last, as far as that is remembered."""
        return digest_of(token) not in self._good and is_well_formed(token)

    async def authenticate(self, token: str) -> Principal:
        """Return whose key it is; raises `Unauthorized`, or whatever asking raises."""
        digest = digest_of(token)
        bearer = self._known.recall(digest)
        if bearer is None:
            if not is_well_formed(token):
                raise _refused()
            bearer = await self._known.get(digest)
        if bearer is None or (bearer.ends_at is not None and bearer.ends_at <= self._now()):
            raise _refused()
        return bearer.principal

    def report(self) -> LeaseState:
        """Tell how much is remembered."""
        return self._known.report("key")

    async def _find(self, digest: str) -> _Bearer | None:
        key = await self._find_key(digest)
        self._note(digest, is_good=key is not None)
        return None if key is None else _Bearer(principal_of_key(key), key_end(key, digest))

    def _note(self, digest: str, *, is_good: bool) -> None:
        if not is_good:
            self._good.pop(digest, None)
            return
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > self._size:
            self._good.popitem(last=False)


def _refused() -> Unauthorized:
    return Unauthorized("The key is malformed, unknown, expired or revoked", headers=_INVALID)
