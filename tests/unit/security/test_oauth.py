"""The token endpoint's requests, answers and errors, as RFC 6749 has them."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.oauth import (
    FORM,
    MAX_FORM_BYTES,
    NO_STORE,
    ClientCredentials,
    GrantType,
    OAuthError,
    TokenRequest,
    TokenResponse,
    invalid_client,
    invalid_grant,
    narrow_scopes,
    parse_scopes,
    parse_token_request,
    unauthorized_client,
)
from sarvanom.security.oauth_metadata import oauth_metadata
from sarvanom.security.scopes import SCOPES

PASSWORD = {"grant_type": "password", "username": "ada", "password": "correct horse"}
MACHINE = {"grant_type": "client_credentials"}
REFRESH = {"grant_type": "refresh_token", "refresh_token": "sr-1"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50)
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=50)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def parse(form: object, authorization: str | None = None, content_type: str = FORM) -> TokenRequest:
    body = form if isinstance(form, bytes) else urlencode(form).encode()  # type: ignore[arg-type]
    return parse_token_request(body, content_type=content_type, authorization=authorization)


def refusal(form: object, authorization: str | None = None, content_type: str = FORM) -> OAuthError:
    with pytest.raises(OAuthError) as refused:
        parse(form, authorization, content_type)
    return refused.value


def attempt[T](parse: Callable[[], T]) -> T | OAuthError:
    try:
        return parse()
    except OAuthError as refused:
        return refused


def test_password_grant() -> None:
    assert parse(PASSWORD) == TokenRequest(GrantType.PASSWORD, username="ada", password="correct horse")


def test_refresh_grant() -> None:
    assert parse(REFRESH | {"client_id": "cli"}) == TokenRequest(
        GrantType.REFRESH_TOKEN, ClientCredentials("cli"), refresh_token="sr-1"
    )


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_client_credentials_grant(scheme: str) -> None:
    by_header = parse(MACHINE, basic("ci", "s3cret").replace("Basic", scheme))
    assert by_header == TokenRequest(GrantType.CLIENT_CREDENTIALS, ClientCredentials("ci", "s3cret"))
    by_body = parse(MACHINE | {"client_id": "ci", "client_secret": "s3cret"})
    assert by_body == TokenRequest(GrantType.CLIENT_CREDENTIALS, ClientCredentials("ci", "s3cret"))


def test_client_may_repeat_its_id_in_the_form() -> None:
    assert parse(MACHINE | {"client_id": "ci"}, basic("ci", "s3cret")).client == ClientCredentials("ci", "s3cret")


@given(TEXT, TEXT, PLAIN, TEXT, st.frozensets(st.sampled_from(sorted(SCOPES)), min_size=1))
def test_whatever_is_sent_arrives(
    username: str, password: str, client_id: str, secret: str, scopes: frozenset[str]
) -> None:
    form = PASSWORD | {"username": username, "password": password, "scope": " ".join(scopes)}
    assert parse(form, basic(client_id, secret)) == TokenRequest(
        GrantType.PASSWORD,
        ClientCredentials(client_id, secret),
        scopes,
        username=username,
        password=password,
    )


def test_parameter_without_a_value_counts_as_left_out() -> None:
    assert parse(PASSWORD | {"scope": "", "client_id": "", "other": "x"}) == parse(PASSWORD)


def test_charset_may_be_named() -> None:
    assert parse(PASSWORD, content_type="Application/X-WWW-Form-URLencoded ; charset=UTF-8") == parse(PASSWORD)


def test_secrets_do_not_show_themselves() -> None:
    shown = repr(parse(PASSWORD, basic("ci", "s3cret"))) + repr(parse(REFRESH))
    shown += repr(TokenResponse("access", 900, frozenset(), "sr-1"))
    assert not [secret for secret in ("correct", "s3cret", "sr-1", "access'") if secret in shown]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (b"", "invalid_request"),
        ({"username": "ada"}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "PASSWORD"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "ada"}, "invalid_request"),
        ({"grant_type": "password", "password": "x"}, "invalid_request"),
        (PASSWORD | {"password": ""}, "invalid_request"),
        (PASSWORD | {"password": "a\0b"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        (PASSWORD | {"scope": "users:read root"}, "invalid_scope"),
        (PASSWORD | {"scope": "users:read  users:write"}, "invalid_scope"),
        (PASSWORD | {"client_secret": "x"}, "invalid_request"),
        (MACHINE, "invalid_client"),
        (MACHINE | {"client_id": "ci"}, "invalid_client"),
        (MACHINE | {"client_id": "c\u0456", "client_secret": "x"}, "invalid_client"),
        (MACHINE | {"client_id": "c" * 256, "client_secret": "x"}, "invalid_client"),
        (b"grant_type=password&grant_type=password&username=a&password=b", "invalid_request"),
        (b"grant_type=password&username=a&password=b&username=", "invalid_request"),
        (b"grant_type=password&username=%ff&password=b", "invalid_request"),
        (b"grant_type=password&username=\xc3\xa9&password=b", "invalid_request"),
        (b"&".join(b"p%d=1" % number for number in range(40)), "invalid_request"),
        (urlencode(PASSWORD).encode() + b"&x=" + b"y" * MAX_FORM_BYTES, "invalid_request"),
        (b'{"grant_type": "password"}', "invalid_request"),
    ],
)
def test_request_that_is_wrong(form: object, error: str) -> None:
    refused = refusal(form)
    assert refused.error == error
    assert refused.status == (401 if error == "invalid_client" else 400)
    assert refused.headers.items() >= NO_STORE.items()
    assert ("WWW-Authenticate" in refused.headers) == (refused.status == 401)
    assert refused.body()["error"] == error
    assert set(refused.body()) == {"error", "error_description"}


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "text/plain", "form"])
def test_another_media_type(content_type: str) -> None:
    assert refusal(PASSWORD, content_type=content_type).error == "invalid_request"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic Y2k=",  # ci
        "Basic Y2k6",  # ci:
        "Basic OnM=",  # :s
        "Basic /////w==",
        "Basic JWZmOng=",  # %ff:x
        "Bearer abc",
        "Digest Y2k6cw==",
        "Basic 0JA6cw==",  # a Cyrillic letter and :s
    ],
)
def test_header_that_authenticates_nobody(authorization: str) -> None:
    refused = refusal(MACHINE, authorization)
    assert (refused.status, refused.error) == (401, "invalid_client")
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert refused.headers["Cache-Control"] == "no-store"


def test_client_that_authenticates_twice() -> None:
    twice = MACHINE | {"client_id": "ci", "client_secret": "s3cret"}
    assert refusal(twice, basic("ci", "s3cret")).error == "invalid_request"
    assert refusal(MACHINE | {"client_id": "other"}, basic("ci", "s3cret")).error == "invalid_request"


@given(st.binary(max_size=200), st.none() | st.text(max_size=60), st.text(max_size=60) | st.just(FORM))
def test_any_bytes_are_a_request_or_an_oauth_error(body: bytes, authorization: str | None, content_type: str) -> None:
    outcome = attempt(lambda: parse_token_request(body, content_type=content_type, authorization=authorization))
    assert isinstance(outcome, TokenRequest) or outcome.status in (400, 401)


@given(st.text(max_size=60).map(lambda text: base64.b64encode(text.encode(errors="replace")).decode()))
def test_any_basic_header_is_a_client_or_an_oauth_error(value: str) -> None:
    outcome = attempt(lambda: parse(MACHINE, f"Basic {value}"))
    if isinstance(outcome, TokenRequest):
        assert outcome.client is not None
    else:
        assert outcome.error == "invalid_client"


@given(st.none() | st.frozensets(st.sampled_from(sorted(SCOPES))), st.frozensets(st.sampled_from(sorted(SCOPES))))
def test_nobody_gets_more_than_is_allowed(requested: frozenset[str] | None, allowed: frozenset[str]) -> None:
    granted = attempt(lambda: narrow_scopes(requested, allowed))
    if requested is not None and not requested <= allowed:
        assert isinstance(granted, OAuthError)
        assert granted.error == "invalid_scope"
    else:
        assert granted == (allowed if requested is None else requested)


def test_scopes_are_known_ones() -> None:
    assert parse_scopes("users:read users:write users:read") == {"users:read", "users:write"}
    with pytest.raises(OAuthError, match="scope"):
        parse_scopes("Users:read")


def test_answer() -> None:
    answer = TokenResponse("eyJ", 900, frozenset({"users:write", "users:read"}), "sr-1")
    assert answer.body() == {
        "access_token": "eyJ",
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "users:read users:write",
        "refresh_token": "sr-1",
    }
    assert TokenResponse("eyJ", 900, frozenset()).body() == {
        "access_token": "eyJ",
        "token_type": "Bearer",
        "expires_in": 900,
    }


def test_errors_that_follow_from_what_is_known() -> None:
    assert (invalid_grant().error, invalid_grant().status) == ("invalid_grant", 400)
    assert (unauthorized_client().error, unauthorized_client().status) == ("unauthorized_client", 400)
    assert (invalid_client().error, invalid_client().status) == ("invalid_client", 401)


@pytest.mark.parametrize("issuer", ["https://api.example.org", "https://api.example.org/", "http://127.0.0.1:8000"])
def test_metadata_leads_to_the_endpoints(issuer: str) -> None:
    base = issuer.rstrip("/")
    found: dict[str, Any] = oauth_metadata(issuer)
    assert found["issuer"] == issuer
    assert (found["token_endpoint"], found["jwks_uri"]) == (f"{base}/auth/token", f"{base}/.well-known/jwks.json")
    assert found["grant_types_supported"] == ["client_credentials", "password", "refresh_token"]
    assert found["response_types_supported"] == []
    assert set(found["scopes_supported"]) == SCOPES
    assert {"client_secret_basic", "client_secret_post"} <= set(found["token_endpoint_auth_methods_supported"])


def test_metadata_of_what_is_no_issuer() -> None:
    with pytest.raises(ValueError, match="no issuer"):
        oauth_metadata("http://api.example.org")
