"""Access tokens as bearer tokens: verified once, and as good as the sessions that they stand on."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sarvanom.security.bearer_tokens import BearerTokens
from sarvanom.security.jose import invalid_token
from sarvanom.security.principals import Principal
from sarvanom.services.gateway.leases import Leases
from sarvanom.shared.models.session_models import Standing
from sarvanom.shared.observations import LeaseState

type FindSession = Callable[[str], Awaitable[Standing | None]]
"""Returns whom a session speaks for; raises `ServiceUnavailable` or another error if that cannot be found out."""


class _Live(NamedTuple):
    """What a session allows now, and when its key ends."""

    scopes: frozenset[str]
    services: frozenset[str] | None
    ends_at: datetime | None


class BearerAccessTokens:
    """Authenticates access tokens, our own and those of outside issuers.

    Our own name a session, of which what was learned is good for a lease. A token never allows more than its session
    does now. What an outside issuer says is good until the token expires: it is the only one who could revoke it.
    """

    def __init__(
        self,
        tokens: BearerTokens,
        find: FindSession,
        *,
        own_issuer: str,
        lease: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tokens = tokens
        self._find_session = find
        self._own_issuer = own_issuer
        self._now = now
        self._sessions = Leases(self._find, lease=lease)

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token; raises `Unauthorized`, or whatever asking raises."""
        verified = await self._tokens.verify(token)
        if verified.issuer != self._own_issuer:
            return verified.principal
        live = None if verified.family is None else await self._sessions.get(verified.family)
        if live is None or (live.ends_at is not None and live.ends_at <= self._now()):
            raise invalid_token("The access token was revoked")
        principal = verified.principal
        if principal.services == live.services and principal.scopes <= live.scopes:
            return principal
        return Principal(principal.subject, principal.scopes & live.scopes, live.services)

    def report(self) -> LeaseState:
        """Tell how much is remembered."""
        return self._sessions.report("session")

    async def _find(self, session_id: str) -> _Live | None:
        found = await self._find_session(session_id)
        if found is None:
            return None
        services = None if found.services is None else frozenset(found.services)
        return _Live(frozenset(found.scopes), services, found.ends_at)
