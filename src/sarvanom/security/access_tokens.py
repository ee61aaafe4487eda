"""Access tokens of SarvanOM's own: JWTs by the profile of RFC 9068, signed with Ed25519, short-lived."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt

from sarvanom.security.claims import audiences, check_times, names_claim, text_claim
from sarvanom.security.jose import (
    MAX_TOKEN_LENGTH,
    check_signature,
    forged_token,
    invalid_token,
    malformed_token,
    pinned_registry,
    read_token,
)
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.signing_keys import ALGORITHM, SigningKeys
from sarvanom.security.verified_tokens import VerifiedToken
from sarvanom.shared.errors import Unauthorized

LIFETIME: Final = 900
LEEWAY: Final = 30
_MAX_LEEWAY: Final = 300
_TYPE: Final = "at+jwt"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new access token, and what an OAuth answer says about it."""

    text: str
    token_id: str
    lifetime: int
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return f"IssuedToken({self.token_id!r})"


class AccessTokens:
    """Issues and verifies tokens for one `issuer` and one `audience`; clocks may differ by `leeway` seconds."""

    def __init__(
        self,
        keys: SigningKeys,
        *,
        issuer: str,
        audience: str,
        lifetime: int = LIFETIME,
        leeway: int = LEEWAY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 <= leeway <= _MAX_LEEWAY:
            raise ValueError(f"a leeway must have 0 to {_MAX_LEEWAY} seconds")
        if not 0 < lifetime <= keys.period - 2 * leeway:
            raise ValueError("a token must not outlive the key that proves it")
        self.issuer = issuer
        self._keys = keys
        self._audience = audience
        self._lifetime = lifetime
        self._leeway = leeway
        self._clock = clock

    def issue(self, principal: Principal, *, client_id: str, family: str | None = None) -> IssuedToken:
        """Return a token that says what `principal` may do, for the family of refresh tokens that it comes with."""
        key = self._keys.current()
        now = int(self._clock())
        token_id = secrets.token_urlsafe(16)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self._audience,
            "sub": principal.subject,
            "client_id": client_id,
            "scope": " ".join(sorted(principal.scopes)),
            "iat": now,
            "nbf": now,
            "exp": now + self._lifetime,
            "jti": token_id,
        }
        if principal.services is not None:
            claims["services"] = sorted(principal.services)
        if family is not None:
            claims["sid"] = family
        header = {"alg": ALGORITHM, "typ": _TYPE, "kid": key.key_id}
        text = jwt.encode(header, claims, key.private, registry=pinned_registry(ALGORITHM))
        if len(text) > MAX_TOKEN_LENGTH:
            raise ValueError("the principal is bound to more services than a token can name")
        return IssuedToken(text, token_id, self._lifetime, principal.scopes)

    def has_signed(self, text: str) -> bool:
        """Tell whether a key of ours has signed a token, whatever it says; one that cannot be read raises."""
        token = read_token(text)
        key = self._keys.find(token.key_id)
        if key is None:
            return False
        try:
            check_signature(token, key.public, (ALGORITHM,))
        except Unauthorized:
            return False
        return True

    def verify(self, text: str) -> VerifiedToken:
        """Return what a token says; a token says the same thing until it expires, so that this may be remembered.

        Raises:
            Unauthorized: it is none of ours, was tampered with, is not meant for us, or not valid now.
        """
        token = read_token(text)
        key = self._keys.find(token.key_id)
        if key is None or token.type != _TYPE:
            raise forged_token()
        check_signature(token, key.public, (ALGORITHM,))
        claims = token.claims
        if claims.get("iss") != self.issuer or audiences(claims) != {self._audience}:
            raise invalid_token("The access token is meant for somebody else")
        times = check_times(claims, now=self._clock(), leeway=self._leeway)
        return VerifiedToken(
            Principal(text_claim(claims, "sub"), _scopes(claims), _services(claims)),
            issuer=self.issuer,
            token_id=text_claim(claims, "jti"),
            issued_at=times.issued_at,
            expires_at=times.expires_at,
            family=text_claim(claims, "sid") if "sid" in claims else None,
            client_id=text_claim(claims, "client_id"),
        )


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """Return the scopes that are known here; the others allow nothing."""
    scope = claims.get("scope")
    if not isinstance(scope, str):
        raise malformed_token()
    return SCOPES.intersection(scope.split(" "))


def _services(claims: dict[str, Any]) -> frozenset[str] | None:
    """Return the services that the token is bound to; only a token without the claim is bound to none."""
    return names_claim(claims["services"]) if "services" in claims else None
