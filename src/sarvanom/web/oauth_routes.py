"""The OAuth endpoints: tokens for credentials, tokens given up, and what clients and verifiers need to know of both."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import orjson
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sarvanom.security.claims import is_plain
from sarvanom.security.oauth import FORM, MAX_FORM_BYTES, NO_STORE, GrantType, OAuthError, TokenResponse, invalid_client
from sarvanom.security.oauth_metadata import JWKS_PATH, METADATA_PATH, REVOCATION_PATH, TOKEN_PATH
from sarvanom.shared.errors import (
    InternalError,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from sarvanom.shared.models.fields import Count, Message
from sarvanom.web.bodies import body_chunks
from sarvanom.web.declared_answers import problem_answer
from sarvanom.web.middleware.observation import ROUTE

OAUTH_PATHS: Final = (TOKEN_PATH, REVOCATION_PATH, METADATA_PATH, JWKS_PATH)
"""What is asked without a bearer token: who has none yet gets one here."""
_HOUR: Final = {"Cache-Control": "public, max-age=3600"}
_NAME: Final = {"type": "string", "maxLength": 255}
_PASSWORD: Final = {"type": "string", "format": "password", "maxLength": 1024}
_CLIENT: Final = {"client_id": _NAME, "client_secret": {**_PASSWORD, "maxLength": 256}}
_TOKEN_FORM: Final = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": sorted(GrantType)},
        "scope": {**_NAME, "description": "Less than is allowed, separated by spaces; left out, all of it."},
        "username": _NAME,
        "password": _PASSWORD,
        "refresh_token": _NAME,
        **_CLIENT,
    },
}
_REVOCATION_FORM: Final = {
    "type": "object",
    "required": ["token"],
    "properties": {"token": {"type": "string", "maxLength": 8192}, "token_type_hint": _NAME, **_CLIENT},
}
_PROBLEMS: Final = (
    InternalError,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)


class Form(NamedTuple):
    """A request as it came: its form, how the client proves itself, and where from."""

    body: bytes
    content_type: str
    authorization: str | None
    address: str | None


class Token(BaseModel):
    """An access token, and what goes with it (RFC 6749, section 5.1)."""

    access_token: Message
    token_type: Annotated[str, Field(max_length=16)]
    expires_in: Count
    scope: Message | None = None
    refresh_token: Message | None = None


class TokenError(BaseModel):
    """Why there is no token (RFC 6749, section 5.2)."""

    error: Annotated[str, Field(max_length=64)]
    error_description: Message


class JWKSet(BaseModel):
    """The keys that access tokens are signed with (RFC 7517), public halves only."""

    keys: Annotated[list[dict[str, Message]], Field(max_length=8)]


type Issue = Callable[[Form], Awaitable[TokenResponse]]
type Revoke = Callable[[Form], Awaitable[None]]


def add_oauth_routes(
    app: FastAPI, *, issue: Issue, revoke: Revoke, metadata: Mapping[str, Any], jwks: Callable[[], Mapping[str, Any]]
) -> None:
    """Add the four routes; `issue` and `revoke` raise `OAuthError`."""

    async def issue_token(request: Request) -> Response:
        """Trade a password, an API key as client credentials, or a refresh token for an access token."""
        answer = await issue(await _read_form(request.scope, request))
        return Response(orjson.dumps(answer.body()), headers=NO_STORE, media_type="application/json")

    async def revoke_token(request: Request) -> Response:
        """End a login by one of its tokens, refresh or access; unknown tokens are no error."""
        await revoke(await _read_form(request.scope, request))
        return Response(headers=NO_STORE)

    async def read_oauth_metadata(_: Request) -> Response:
        """Say where the endpoints are, and what they can do (RFC 8414)."""
        return Response(orjson.dumps(metadata), headers=_HOUR, media_type="application/json")

    async def read_jwks(_: Request) -> Response:
        """Publish the keys that access tokens are signed with."""
        return Response(orjson.dumps(jwks()), headers=_HOUR, media_type="application/json")

    _add(app, TOKEN_PATH, "POST", issue_token, Token, _TOKEN_FORM)
    _add(app, REVOCATION_PATH, "POST", revoke_token, None, _REVOCATION_FORM)
    _add(app, METADATA_PATH, "GET", read_oauth_metadata, dict[str, Any])
    _add(app, JWKS_PATH, "GET", read_jwks, JWKSet)


def _add(
    app: FastAPI,
    path: str,
    method: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    model: Any,
    form: Mapping[str, Any] | None = None,
) -> None:
    async def serve(request: Request) -> Response:
        request.scope[ROUTE] = path
        try:
            return await endpoint(request)
        except OAuthError as error:
            return Response(
                orjson.dumps(error.body()), error.status, headers=error.headers, media_type="application/json"
            )

    responses: dict[int | str, dict[str, Any]] = {RateLimited.status: problem_answer(RateLimited)}
    extra: dict[str, Any] | None = None
    if form is not None:
        responses = {error.status: problem_answer(error) for error in _PROBLEMS}
        responses |= {
            status: {"model": TokenError, "description": description}
            for status, description in ((400, "Refused"), (401, "The client could not be authenticated"))
        }
        extra = {"requestBody": {"required": True, "content": {FORM: {"schema": form}}}}
    # Starlette's route comes first and serves; FastAPI's declares the contract.
    app.router.add_route(path, serve, methods=[method], include_in_schema=False)
    app.api_route(
        path,
        methods=[method],
        tags=["auth"],
        operation_id=endpoint.__name__,
        name=endpoint.__name__,
        summary=(endpoint.__doc__ or "").partition("\n")[0],
        response_model=model,
        responses=responses,
        openapi_extra=extra,
    )(endpoint)


async def _read_form(scope: Scope, request: Request) -> Form:
    """Return the request; raises `PayloadTooLarge`, and `OAuthError` for a client that proves itself twice."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in body_chunks(request.receive):
        size += len(chunk)
        if size > MAX_FORM_BYTES:
            raise PayloadTooLarge(f"The body may have at most {MAX_FORM_BYTES} bytes")
        chunks.append(chunk)
    given = request.headers.getlist("authorization")
    if len(given) > 1 or not all(map(is_plain, given)):
        raise invalid_client()
    client = scope["client"]
    content_type = request.headers.get("content-type", "")
    return Form(b"".join(chunks), content_type, given[0] if given else None, client[0] if client else None)
