"""Who bears a token: what kinds of tokens there are, and how long a proof holds."""

import asyncio
from typing import Final, Protocol

from sarvanom.security.api_keys import ANY_PREFIX
from sarvanom.security.metrics_token import MetricsToken
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import SarvanOMError, Unauthorized

_INVALID: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenKind(Protocol):
    """One kind of bearer tokens."""

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token; raises `Unauthorized` or `ServiceUnavailable`."""


class KeyKind(TokenKind, Protocol):
    """API keys, which are remembered once they were asked about."""

    def recall(self, token: str) -> Principal | None:
        """Return whose key it is, if that is remembered."""

    def is_stranger(self, token: str) -> bool:
        """Tell whether a key that can be one was never seen to be good."""


class BearerAuthentication:
    """Decides whom a bearer token proves: API keys by their prefix, the metrics token, and by `tokens` the rest."""

    def __init__(
        self, keys: KeyKind, tokens: TokenKind | None = None, *, lease: float, metrics_token: str | None = None
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._lease = lease
        self._metrics = MetricsToken(metrics_token)

    def recall(self, token: str) -> Principal | None:
        """Return who bears the token, if nobody has to be asked; see `web.middleware.authentication.Authenticator`."""
        return self._keys.recall(token) if token.startswith(ANY_PREFIX) else None

    def is_stranger(self, token: str) -> bool:
        """Tell whether crud has to be asked about what anybody can make up.

        A token is verified by its signature first.
        """
        return token.startswith(ANY_PREFIX) and self._keys.is_stranger(token)

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token; see `web.middleware.authentication.Authenticator`."""
        if token.startswith(ANY_PREFIX):
            return await self._keys.authenticate(token)
        scraper = self._metrics.principal(token)
        if scraper is not None:
            return scraper
        if self._tokens is None:
            raise Unauthorized("The token is of no kind that is known here", headers=_INVALID)
        return await self._tokens.authenticate(token)

    async def until_refuted(self, token: str, principal: Principal) -> None:
        """Look again each lease, until the token proves no longer this very principal."""
        is_proven = True
        while is_proven:
            await asyncio.sleep(self._lease)
            try:
                is_proven = await self.authenticate(token) == principal
            except SarvanOMError:
                is_proven = False
