"""The token endpoint's language (OAuth 2.0, RFC 6749): requests are parsed here, answers and errors are put together.

Its errors are OAuth's, not problem details, because OAuth clients read them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from sarvanom.security.claims import is_plain
from sarvanom.security.scopes import SCOPES

MAX_FORM_BYTES: Final = 16_384
FORM: Final = "application/x-www-form-urlencoded"
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""What every answer of the token endpoint carries (section 5.1)."""
_MAX_PARAMETERS: Final = 32
_MAX_NAME: Final = 255


class GrantType(StrEnum):
    """What a caller trades for a token."""

    PASSWORD = "password"  # noqa: S105 (the grant's name)
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 (the grant's name)


class OAuthError(Exception):
    """What the token endpoint refuses, and how it says so (section 5.2); no text of the caller is repeated."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] = NO_STORE
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers

    def body(self) -> dict[str, str]:
        """Return the JSON of the answer."""
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a client says it is; a public client has no secret."""

    client_id: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for a token, well-formed and not yet believed; `scopes` is None where none are asked for."""

    grant: GrantType
    client: ClientCredentials | None = None
    scopes: frozenset[str] | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What the caller gets."""

    access_token: str = field(repr=False)
    expires_in: int
    scopes: frozenset[str]
    refresh_token: str | None = field(default=None, repr=False)

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer (section 5.1), to be sent with `NO_STORE`."""
        body: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }
        if self.scopes:
            body["scope"] = " ".join(sorted(self.scopes))
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        return body


def invalid_client() -> OAuthError:
    """Return the one error for a client that is unknown, has another secret, or none (section 5.2)."""
    headers = {**NO_STORE, "WWW-Authenticate": 'Basic realm="sarvanom", charset="UTF-8"'}
    return OAuthError("invalid_client", "The client could not be authenticated", status=401, headers=headers)


def invalid_grant() -> OAuthError:
    """Return the one error for a wrong name, a wrong password, and a refresh token that is over."""
    return OAuthError("invalid_grant", "What was given for the token is not valid, or no longer")


def unauthorized_client() -> OAuthError:
    """Return the error for a client that may not use this grant."""
    return OAuthError("unauthorized_client", "The client may not use this grant")


def parse_token_request(body: bytes, *, content_type: str, authorization: str | None = None) -> TokenRequest:
    """Return the request that a form and an `Authorization` header make.

    Raises:
        OAuthError: they make none.
    """
    form = _parse_form(body, content_type)
    client = _parse_client(form, authorization)
    try:
        grant = GrantType(_required(form, "grant_type"))
    except ValueError:
        known = ", ".join(GrantType)
        raise OAuthError("unsupported_grant_type", f"grant_type must be one of {known}") from None
    scopes = parse_scopes(form["scope"]) if "scope" in form else None
    if grant is GrantType.PASSWORD:
        username, password = _required(form, "username"), _required(form, "password")
        return TokenRequest(grant, client, scopes, username=username, password=password)
    if grant is GrantType.REFRESH_TOKEN:
        return TokenRequest(grant, client, scopes, refresh_token=_required(form, "refresh_token"))
    if client is None or client.secret is None:
        raise invalid_client()
    return TokenRequest(grant, client, scopes)


def parse_revocation(
    body: bytes, *, content_type: str, authorization: str | None = None
) -> tuple[str, ClientCredentials | None]:
    """Return the token that is to be revoked (RFC 7009, section 2.1), and the client that says so.

    Raises:
        OAuthError: the request is none; a hint of what kind of token it is, is not needed.
    """
    form = _parse_form(body, content_type)
    return _required(form, "token"), _parse_client(form, authorization)


def parse_scopes(text: str) -> frozenset[str]:
    """Return the scopes that a request names (section 3.3).

    Raises:
        OAuthError: one of them is unknown.
    """
    scopes = frozenset(text.split(" "))
    if not scopes <= SCOPES:
        raise OAuthError("invalid_scope", "scope names what is no scope here")
    return scopes


def narrow_scopes(requested: frozenset[str] | None, allowed: frozenset[str]) -> frozenset[str]:
    """Return what is granted: all that is allowed, or the part of it that was asked for.

    Raises:
        OAuthError: more was asked for than is allowed.
    """
    if requested is None:
        return allowed
    if not requested <= allowed:
        raise OAuthError("invalid_scope", "scope asks for more than is allowed")
    return requested


def _parse_form(body: bytes, content_type: str) -> dict[str, str]:
    """Return the form's parameters, each given once (section 3.2); one without a value counts as left out."""
    if content_type.split(";", 1)[0].strip().lower() != FORM:
        raise _invalid_request(f"The request must be {FORM}")
    if len(body) > MAX_FORM_BYTES:
        raise _invalid_request(f"The request must have at most {MAX_FORM_BYTES} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise _invalid_request("The request is no form") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise _invalid_request("A parameter must not be given more than once")
    if any("\0" in value for value in form.values()):
        raise _invalid_request("A parameter must not hold NUL")
    return {name: value for name, value in form.items() if value}


def _parse_client(form: Mapping[str, str], authorization: str | None) -> ClientCredentials | None:
    """Return the client, who names itself in one way, not in two (section 2.3)."""
    given = form.get("client_id")
    if authorization is None:
        if given is None and "client_secret" in form:
            raise _invalid_request("client_secret needs client_id")
        return None if given is None else ClientCredentials(_client_id(given), form.get("client_secret"))
    if "client_secret" in form:
        raise _invalid_request("A client must authenticate in one way")
    client = _parse_basic(authorization)
    if given not in (None, client.client_id):
        raise _invalid_request("A client must have one client_id")
    return client


def _parse_basic(authorization: str) -> ClientCredentials:
    """Read HTTP Basic, in which OAuth encodes both parts like a form (section 2.3.1)."""
    scheme, _, value = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        client_id, secret = (unquote_plus(part, errors="strict") for part in (name, secret))
    except ValueError:
        raise invalid_client() from None
    if scheme.lower() != "basic" or not secret:
        raise invalid_client()
    return ClientCredentials(_client_id(client_id), secret)


def _client_id(text: str) -> str:
    if not 1 <= len(text) <= _MAX_NAME or not is_plain(text):
        raise invalid_client()
    return text


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise _invalid_request(f"{name} is required")
    return form[name]


def _invalid_request(description: str) -> OAuthError:
    return OAuthError("invalid_request", description)
