"""Who asks is proven before anything else is looked at."""

from collections.abc import Collection
from typing import Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.security.api_keys import ANY_PREFIX
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import InvalidHeader, SarvanOMError, Unauthorized
from sarvanom.shared.observations import AuthenticationDecided, Credential, tell
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.sending import PROOF

REFUSAL: Final = "sarvanom.refusal"
"""Where the scope keeps why nobody was proven; `IdentityMiddleware` raises it."""
_SCHEME: Final = b"bearer "


class Authenticator(Protocol):
    """Decides whom a bearer token proves."""

    async def authenticate(self, token: str) -> Principal:
        """Return who bears the token.

        Raises:
            Unauthorized: nobody does: it is malformed, unknown, expired or revoked.
            ServiceUnavailable: that cannot be found out now.
        """

    async def until_refuted(self, token: str, principal: Principal) -> None:
        """Return when the token no longer proves this very principal, or that cannot be found out."""


class AuthenticationMiddleware:
    """Puts the principal into the scope that `Authorization: Bearer` proves (RFC 6750).

    Whoever cannot be proven is refused by `IdentityMiddleware` further in, once the request has been counted: guessing
    is limited like everything else. Whoever asks for a public path stays unknown.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, public: Collection[str]) -> None:
        self._app = app
        self._authenticator = authenticator
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._public:
            await self._prove(scope)
        await self._app(scope, receive, send)

    async def _prove(self, scope: Scope) -> None:
        credential: Credential = "none"
        try:
            token = _bearer_token(scope)
            credential = "api_key" if token.startswith(ANY_PREFIX) else "token"
            principal = await self._authenticator.authenticate(token)
        except SarvanOMError as error:
            is_refused = isinstance(error, Unauthorized | InvalidHeader)
            tell(AuthenticationDecided(credential, "refused" if is_refused else "unavailable"))
            scope[REFUSAL] = error
            return
        tell(AuthenticationDecided(credential, "proven"))
        scope[PRINCIPAL] = principal
        scope[PROOF] = lambda: self._authenticator.until_refuted(token, principal)


def _bearer_token(scope: Scope) -> str:
    given: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if given is not None:
                raise InvalidHeader("Authorization is given more than once")
            given = value
    if given is None:
        raise Unauthorized("Send Authorization: Bearer and an API key or access token")
    token = given[len(_SCHEME) :].strip(b" ")
    if given[: len(_SCHEME)].lower() != _SCHEME or not token.isascii():
        raise Unauthorized("Authorization must be Bearer and an API key or access token")
    return token.decode()
