"""Who bears a token: what kinds of tokens there are, and how long a proof holds."""

import asyncio
from typing import Final, Protocol

from pydantic import ValidationError

from sarvanom.security.api_keys import ANY_PREFIX
from sarvanom.security.principals import GATEWAY, Principal
from sarvanom.security.statements import HEADER, Statements
from sarvanom.shared.clients.idempotency import KeySequence
from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Headers, Request, Transport
from sarvanom.shared.errors import (
    ResourceNotFound,
    SarvanOMError,
    ServiceUnavailable,
    Unauthorized,
    UpstreamFailed,
)
from sarvanom.shared.models.key_models import ApiKey

_TARGET: Final = b"/authenticate"
_INVALID: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenKind(Protocol):
    """One kind of bearer tokens."""

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token; raises `Unauthorized` or `ServiceUnavailable`."""


class BearerAuthentication:
    """Decides whom a bearer token proves: API keys by their prefix, everything else is for `tokens` to tell."""

    def __init__(self, keys: TokenKind, tokens: TokenKind | None = None, *, lease: float) -> None:
        self._keys = keys
        self._tokens = tokens
        self._lease = lease

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token; see `web.middleware.authentication.Authenticator`."""
        if token.startswith(ANY_PREFIX):
            return await self._keys.authenticate(token)
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


class CrudKeys:
    """Asks crud whose key has a digest, in the gateway's own name."""

    def __init__(self, transport: Transport, statements: Statements) -> None:
        self._transport = transport
        self._statements = statements
        self._keys = KeySequence()

    async def find(self, digest: str) -> ApiKey | None:
        """Return the key, or None if there is none; raises whatever keeps crud from saying so."""
        # With a key of its own the question may be sent again.
        headers: Headers = [(b"content-type", b"text/plain"), (b"idempotency-key", self._keys.next().encode())]
        body = digest.encode()
        headers.append((HEADER, self._statements.sign(GATEWAY, "POST", _TARGET, headers, body)))
        response = await self._transport.send(Request("POST", _TARGET, headers, body))
        if response.status == 200:
            return _read(response.body)
        error = error_from_response(response)
        if isinstance(error, ResourceNotFound):
            return None
        raise as_gateways(error)


def _read(body: bytes) -> ApiKey:
    try:
        return ApiKey.model_validate_json(body, extra="ignore")
    except ValidationError:
        raise UpstreamFailed("crud's answer is no key") from None


def as_gateways(error: SarvanOMError) -> SarvanOMError:
    """Return an error of crud as one of the gateway's: that crud does not believe the gateway is not the caller's."""
    if isinstance(error, Unauthorized):
        return ServiceUnavailable(f"crud does not know this gateway: {error.detail}")
    return error
