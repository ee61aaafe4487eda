"""Who asks is proven before anything else is looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.security.api_keys import ANY_PREFIX
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import InvalidHeader, RateLimited, SarvanOMError, ServiceUnavailable, Unauthorized
from sarvanom.shared.observations import AuthenticationDecided, Credential, tell
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.proofs import PROOF, Authenticator

REFUSAL: Final = "sarvanom.refusal"
"""Where the scope keeps why nobody was proven; `IdentityMiddleware` raises it."""
_SCHEME: Final = b"bearer "


class AuthenticationMiddleware:
    """Puts the principal into the scope that `Authorization: Bearer` proves (RFC 6750).

    Whoever cannot be proven is refused by `IdentityMiddleware` further in, once the request has been counted: guessing
    is limited like everything else. A token that somebody has to be asked about for the first time is counted before
    that too, by `count_stranger`, which returns what takes that back: nobody is to blame if there is no answer. Whoever
    asks for a public path stays unknown. `patience` is how many seconds it may take to find out who asks for a path.

    Raises `RateLimited` if too many such tokens have come.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        public: Collection[str],
        count_stranger: Callable[[Scope], Awaitable[Callable[[], None]]] | None = None,
        patience: Mapping[str, float] | None = None,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._public = frozenset(public)
        self._count_stranger = count_stranger
        self._patience = dict(patience or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._public:
            await self._prove(scope)
        await self._app(scope, receive, send)

    async def _prove(self, scope: Scope) -> None:
        credential: Credential = "none"
        try:
            token = bearer_token(scope)
            credential = "api_key" if token.startswith(ANY_PREFIX) else "token"
            principal = self._authenticator.recall(token)
            if principal is None:
                async with asyncio.timeout(self._patience.get(scope["path"])):
                    principal = await self._authenticate(scope, token)
        except TimeoutError:
            tell(AuthenticationDecided(credential, "unavailable"))
            scope[REFUSAL] = ServiceUnavailable("It could not be found out in time who asks")
            return
        except RateLimited:
            raise
        except SarvanOMError as error:
            is_refused = isinstance(error, Unauthorized | InvalidHeader)
            tell(AuthenticationDecided(credential, "refused" if is_refused else "unavailable"))
            scope[REFUSAL] = error
            return
        tell(AuthenticationDecided(credential, "proven"))
        scope[PRINCIPAL] = principal
        scope[PROOF] = (self._authenticator, token, principal)

    async def _authenticate(self, scope: Scope, token: str) -> Principal:
        if self._count_stranger is None or not self._authenticator.is_stranger(token):
            return await self._authenticator.authenticate(token)
        take_back = await self._count_stranger(scope)
        try:
            return await self._authenticator.authenticate(token)
        except ServiceUnavailable:
            take_back()
            raise


def bearer_token(scope: Scope) -> str:
    """Return the token that a request bears; raises `Unauthorized` if there is none, or `InvalidHeader`."""
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
