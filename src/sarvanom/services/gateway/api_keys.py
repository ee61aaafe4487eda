"""API keys as bearer tokens: asked for in crud, and then remembered for no longer than a lease."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sarvanom.security.api_keys import digest_of, is_well_formed
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import scopes_of
from sarvanom.shared.errors import Unauthorized
from sarvanom.shared.models.key_models import ApiKey

MAX_REMEMBERED: Final = 10_000
_INVALID: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

type FindKey = Callable[[str], Awaitable[ApiKey | None]]
"""Returns the key that has a digest; raises `ServiceUnavailable` or another error if that cannot be found out."""


class _Known(NamedTuple):
    """What was found out of a digest, and until when that may be used: None if nobody has it."""

    principal: Principal | None
    ends_at: datetime | None
    until: float


class Memory:
    """The latest so many of what was found out."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def get(self, digest: str, now: float) -> _Known | None:
        """Return what is known, unless it is too old."""
        known = self._known.get(digest)
        if known is None:
            return None
        if known.until <= now:
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return known

    def put(self, digest: str, known: _Known) -> None:
        """Remember, and forget what was not used for longest."""
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


class ApiKeys:
    """Authenticates API keys.

    A lease begins when the question is sent, so that a key that is revoked afterwards is refused within one lease. It
    is never extended: if crud is away when it ends, nobody is let in. Those who ask at the same time share one
    question, and unknown keys are remembered apart from good ones, which they cannot push out.
    """

    def __init__(
        self,
        find: FindKey,
        *,
        lease: float,
        size: int = MAX_REMEMBERED,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._find = find
        self._lease = lease
        self._monotonic = monotonic
        self._now = now
        self._good = Memory(size)
        self._bad = Memory(size)
        self._asking: dict[str, asyncio.Task[_Known]] = {}

    async def authenticate(self, token: str) -> Principal:
        """Return whose key it is; raises `Unauthorized`, or whatever asking raises."""
        if not is_well_formed(token):
            raise _refused()
        digest = digest_of(token)
        now = self._monotonic()
        known = self._good.get(digest, now) or self._bad.get(digest, now) or await self._ask(digest)
        if known.principal is None or (known.ends_at is not None and known.ends_at <= self._now()):
            raise _refused()
        return known.principal

    async def _ask(self, digest: str) -> _Known:
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.create_task(self._find_out(digest))
            task.add_done_callback(lambda done: self._forget_question(digest, done))
        # Whoever goes away does not take the answer from the others.
        return await asyncio.shield(task)

    def _forget_question(self, digest: str, done: asyncio.Task[_Known]) -> None:
        del self._asking[digest]
        if not done.cancelled():
            done.exception()  # perhaps nobody waits for it any more

    async def _find_out(self, digest: str) -> _Known:
        until = self._monotonic() + self._lease
        key = await self._find(digest)
        if key is None:
            known = _Known(None, None, until)
            self._bad.put(digest, known)
            return known
        principal = Principal(
            f"key:{key.key_id}",
            scopes_of(key.roles, key.scopes),
            None if key.services is None else frozenset(key.services),
        )
        known = _Known(principal, _end_of(key, digest), until)
        self._good.put(digest, known)
        return known


def _end_of(key: ApiKey, digest: str) -> datetime | None:
    """Return when the text that has this digest ends: with the key, or with the overlap of a rotation."""
    ends = [key.expires_at] if key.digest == digest else [key.expires_at, key.previous_expires_at]
    return min((end for end in ends if end is not None), default=None)


def _refused() -> Unauthorized:
    return Unauthorized("The key is malformed, unknown, expired or revoked", headers=_INVALID)
