"""Tokens of outside issuers (OpenID Connect): who may issue, and what their claims mean here."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sarvanom.security.claims import audiences, check_times, names_claim, text_claim
from sarvanom.security.issuer_keys import Fetch, IssuerKeys, KeyLifetimes
from sarvanom.security.issuer_urls import check_issuer_url
from sarvanom.security.jose import check_signature, forged_token, invalid_token, read_token
from sarvanom.security.jwk_sets import ALGORITHMS
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import Role, scopes_of
from sarvanom.security.verified_tokens import VerifiedToken

_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_BOUND_OTHERWISE: Final = ("cnf", "events")
"""A token that only the owner of a key may use (RFC 7800), and a logout token: neither is a bearer's."""
_MAX_LEEWAY: Final = 300
_is_name = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}").fullmatch


@dataclass(frozen=True, slots=True)
class OutsideIssuer:
    """An issuer that is trusted, for one audience, and the meaning of its claims.

    `name` stands in the subjects of its users, `oidc:name:sub`. `roles` maps what `roles_claim` lists to roles here;
    what it does not name means nothing. A claim's path is split at dots (`realm_access.roles`), unless it is a URL.
    Users are bound to what `services_claim` lists, or to `services`, or to none if both are None. `clients`, if there
    are any, are the only ones (`azp`) whose tokens are taken.
    """

    name: str
    issuer: str
    audience: str
    roles: Mapping[str, Role] = field(default_factory=dict)
    roles_claim: str = "roles"
    services_claim: str | None = None
    services: frozenset[str] | None = None
    clients: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset({"RS256", "ES256", "EdDSA"})
    leeway: int = 30

    def __post_init__(self) -> None:
        check_issuer_url(self.issuer)
        if not _is_name(self.name):
            raise ValueError(f"{self.name!r} is no name: it must have lower-case letters, digits, - and _")
        if not self.audience:
            raise ValueError("an issuer needs an audience")
        if not self.algorithms or not self.algorithms <= ALGORITHMS.keys():
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
        if self.services_claim is not None and self.services is not None:
            raise ValueError("services are named by a claim or here, not both")
        if not 0 <= self.leeway <= _MAX_LEEWAY:
            raise ValueError(f"a leeway must have 0 to {_MAX_LEEWAY} seconds")

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return who claims that have been proven speak for."""
        given = claim_values(claims, self.roles_claim)
        roles = [role for value, role in self.roles.items() if value in given]
        services = claim_values(claims, self.services_claim) if self.services_claim is not None else self.services
        return Principal(f"oidc:{self.name}:{text_claim(dict(claims), 'sub')}", scopes_of(roles), services)


def claim_values(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return the texts at a path: those of a list, or the words of one text; where there is nothing, none."""
    found: Any = claims
    for name in [path] if "://" in path else path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset(found.split())
    return frozenset() if found is None else names_claim(found)


class OutsideTokens:
    """Verifies the tokens of the issuers that are trusted."""

    def __init__(
        self,
        issuers: Iterable[OutsideIssuer],
        fetch: Fetch,
        *,
        lifetimes: KeyLifetimes = KeyLifetimes(),  # noqa: B008 (a value)
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        trusted = list(issuers)
        self._issuers = {
            issuer.issuer: (issuer, IssuerKeys(issuer.issuer, fetch, lifetimes=lifetimes, clock=monotonic))
            for issuer in trusted
        }
        if len(self._issuers) < len(trusted) or len({issuer.name for issuer in trusted}) < len(trusted):
            raise ValueError("an outside issuer is named twice")
        self._clock = clock

    @property
    def issuers(self) -> frozenset[str]:
        """The URLs of the issuers."""
        return frozenset(self._issuers)

    async def verify(self, text: str) -> VerifiedToken:
        """Return what a token says; a token says the same thing until it expires, so that this may be remembered.

        Raises:
            Unauthorized: no trusted issuer signed it, or it is not meant for us, or not valid now.
            ServiceUnavailable: its issuer cannot be asked for the key.
        """
        token = read_token(text)
        claimed = token.claims.get("iss")
        trusted = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if trusted is None:
            raise invalid_token("The access token's issuer is not trusted here")
        issuer, keys = trusted
        if token.algorithm not in issuer.algorithms or token.type.lower() not in _TYPES:
            raise forged_token()
        check_signature(token, await keys.find(token.key_id, token.algorithm), issuer.algorithms)
        _check_recipient(issuer, token.claims)
        times = check_times(token.claims, now=self._clock(), leeway=issuer.leeway)
        return VerifiedToken(
            issuer.principal(token.claims),
            issuer=issuer.issuer,
            token_id=text_claim(token.claims, "jti") if "jti" in token.claims else None,
            issued_at=times.issued_at,
            expires_at=times.expires_at,
            client_id=_client_of(token.claims),
        )

    async def aclose(self) -> None:
        """Give up what is being asked of issuers."""
        for _, keys in self._issuers.values():
            await keys.aclose()


def _check_recipient(issuer: OutsideIssuer, claims: dict[str, Any]) -> None:
    """Refuse a token for another audience, from a client that is not allowed, or bound to more than its bearer."""
    if issuer.audience not in audiences(claims) or any(name in claims for name in _BOUND_OTHERWISE):
        raise invalid_token("The access token is meant for somebody else")
    if issuer.clients and _client_of(claims) not in issuer.clients:
        raise invalid_token("The access token was issued to a client that is not allowed here")


def _client_of(claims: dict[str, Any]) -> str | None:
    """Return who the token was issued to: `azp` (OpenID Connect Core, section 2), or `client_id` (RFC 9068)."""
    return next((text_claim(claims, name) for name in ("azp", "client_id") if name in claims), None)
