"""The tokens of a gateway, put together: what it signs, whom else it believes, and who trades credentials for them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from fastapi import FastAPI

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.bearer_tokens import BearerTokens
from sarvanom.security.oauth_metadata import oauth_metadata
from sarvanom.security.oidc import OutsideIssuer, OutsideTokens
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.security.verified_tokens import VerifiedTokens
from sarvanom.services.gateway.access_tokens import BearerAccessTokens
from sarvanom.services.gateway.questions import Questions
from sarvanom.services.gateway.token_endpoint import TokenEndpoint
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.web.failed_logins import FailedLogins
from sarvanom.web.oauth_routes import add_oauth_routes

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Who issues, for whom, for how many seconds, and who else may."""

    issuer: str
    audience: str
    lifetime: int
    lease: float
    outside: Sequence[OutsideIssuer] = ()


class GatewayTokens:
    """What a gateway does about access tokens; closed at shutdown."""

    def __init__(self, secret: bytes, questions: Questions, limits: LimitStore, settings: TokenSettings) -> None:
        self._keys = SigningKeys(secret)
        own = AccessTokens(self._keys, issuer=settings.issuer, audience=settings.audience, lifetime=settings.lifetime)
        self._closing = AsyncExitStack()
        self._outside = self._trust(settings.outside)
        self._issuer = settings.issuer
        self._endpoint = TokenEndpoint(own, questions, FailedLogins(limits), lifetime=settings.lifetime)
        self.bearers = BearerAccessTokens(
            BearerTokens(own, self._outside, VerifiedTokens(), on_other_name=self._log_other_name),
            questions.find_session,
            own_issuer=settings.issuer,
            lease=settings.lease,
        )

    def add_routes(self, app: FastAPI) -> None:
        """Add the endpoints to the app."""
        add_oauth_routes(
            app,
            issue=self._endpoint.issue,
            revoke=self._endpoint.revoke,
            metadata=oauth_metadata(self._issuer),
            jwks=self._keys.jwks,
        )

    def _log_other_name(self, issuer: str) -> None:
        _log.warning(
            "a gateway with the same secret has another URL: its tokens are refused here, set SARVANOM_PUBLIC_URL",
            its_url=issuer,
            own_url=self._issuer,
        )

    async def aclose(self) -> None:
        """Give up what is being asked of issuers."""
        await self._closing.aclose()

    def _trust(self, issuers: Sequence[OutsideIssuer]) -> OutsideTokens:
        if not issuers:
            return OutsideTokens((), _ask_nobody)
        # The client is loaded only where it is used.
        from sarvanom.backends.identity.issuer_documents import IssuerDocuments

        documents = IssuerDocuments()
        outside = OutsideTokens(issuers, documents.fetch)
        self._closing.push_async_callback(documents.aclose)
        self._closing.push_async_callback(outside.aclose)
        return outside


async def _ask_nobody(_: str) -> bytes:
    raise ServiceUnavailable("No outside issuer is trusted")
