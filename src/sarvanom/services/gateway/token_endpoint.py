"""The token endpoint: credentials for tokens (OAuth 2.0, RFC 6749), and tokens that are given up (RFC 7009)."""

from typing import Final

from sarvanom.security.access_tokens import LEEWAY, AccessTokens
from sarvanom.security.api_keys import digest_of
from sarvanom.security.oauth import (
    ClientCredentials,
    GrantType,
    OAuthError,
    TokenRequest,
    TokenResponse,
    invalid_client,
    parse_revocation,
    parse_token_request,
    unauthorized_client,
)
from sarvanom.security.principals import Principal
from sarvanom.security.refresh_tokens import family_of
from sarvanom.services.gateway.questions import Questions
from sarvanom.shared.errors import SarvanOMError, Unauthorized
from sarvanom.shared.models.session_models import SessionAnswer, SessionEnd, SessionRequest
from sarvanom.web.failed_logins import FailedLogins
from sarvanom.web.oauth_routes import Form

_PUBLIC: Final = "public"
"""What a client is called that does not say."""


class TokenEndpoint:
    """Answers the two requests; crud judges what is given, the gateway signs what is got."""

    def __init__(self, tokens: AccessTokens, questions: Questions, logins: FailedLogins, *, lifetime: int) -> None:
        self._tokens = tokens
        self._questions = questions
        self._logins = logins
        self._lifetime = lifetime + LEEWAY

    async def issue(self, form: Form) -> TokenResponse:
        """Trade a credential for a token.

        Raises:
            OAuthError: it is not valid.
            RateLimited: too many were not.
        """
        request = parse_token_request(form.body, content_type=form.content_type, authorization=form.authorization)
        client_id, digest = _client(request.client)
        asked = SessionRequest(
            client_id=client_id,
            client_digest=digest,
            grant=request.grant.value,
            lifetime=self._lifetime,
            scopes=None if request.scopes is None else sorted(request.scopes),
            username=request.username,
            password=request.password,
            refresh_token=request.refresh_token,
        )
        return self._sign(await self._open(asked, request, form.address), client_id)

    async def revoke(self, form: Form) -> None:
        """End what a token stands on; one that is unknown needs no ending.

        Raises:
            OAuthError: the client cannot be authenticated, or the token is another's.
            RateLimited: too many could not.
        """
        token, client = parse_revocation(form.body, content_type=form.content_type, authorization=form.authorization)
        client_id, digest = _client(client)
        is_refresh = family_of(token) is not None
        end = SessionEnd(
            client_id=client_id,
            client_digest=digest,
            session_id=None if is_refresh else self._session_of(token),
            refresh_token=token if is_refresh else None,
        )
        answer = await self._questions.end_session(end)
        if answer.error is not None:
            await self._count(answer, form.address)
            raise _refusal(answer)

    async def _open(self, asked: SessionRequest, request: TokenRequest, address: str | None) -> SessionAnswer:
        """Ask crud; a name and a password count as a failed login until they have turned out to be right."""
        if request.grant is not GrantType.PASSWORD:
            answer = await self._questions.open_session(asked)
            await self._count(answer, address)
        else:
            await self._logins.check(address, request.username)
            try:
                answer = await self._questions.open_session(asked)
            except SarvanOMError:
                await self._logins.undecided(address, request.username)
                raise
            if answer.error in (None, "invalid_scope"):
                await self._logins.succeeded(address, request.username)
        if answer.error is not None:
            raise _refusal(answer)
        return answer

    async def _count(self, answer: SessionAnswer, address: str | None) -> None:
        """Count a client's wrong secret. Refresh tokens cannot be guessed, and get old without anybody's fault."""
        if answer.error == "invalid_client":
            await self._logins.failed(address)

    def _sign(self, answer: SessionAnswer, client_id: str) -> TokenResponse:
        standing = answer.standing
        assert standing is not None  # noqa: S101 (crud has begun a session)
        services = None if standing.services is None else frozenset(standing.services)
        principal = Principal(standing.subject, frozenset(standing.scopes), services)
        try:
            issued = self._tokens.issue(principal, client_id=client_id, family=answer.session_id)
        except ValueError:  # it is bound to more services than a token can name
            raise unauthorized_client() from None
        return TokenResponse(issued.text, issued.lifetime, issued.scopes, answer.refresh_token)

    def _session_of(self, token: str) -> str | None:
        try:
            return self._tokens.verify(token).family
        except Unauthorized:
            return None


def _client(client: ClientCredentials | None) -> tuple[str, str | None]:
    """Return what a client calls itself, and the digest of its secret if it has given one."""
    if client is None:
        return _PUBLIC, None
    return client.client_id, None if client.secret is None else digest_of(client.secret)


def _refusal(answer: SessionAnswer) -> OAuthError:
    if answer.error == "invalid_client":
        return invalid_client()
    return OAuthError(answer.error or "", answer.error_description)
