"""Tokens over HTTP: each grant, refresh tokens and their reuse, and what ends them, on both databases."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sarvanom.security.api_keys import make_key as made_up_key
from tests.services.answers import data_of, items_of, problem_of
from tests.services.keys import make_key
from tests.services.logins import INVALID_GRANT, PASSWORD, Realm, granted, refused
from tests.services.realms import LEASE, PUBLIC_URL, realm_on
from tests.unit.security.tokens import claims_of, decode, header_of

SLACK = 1.0
"""What a request itself may take on a busy machine."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def realm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    with realm_on(request.param, tmp_path_factory.mktemp("realm"), postgres) as running:
        yield running


def key_token(realm: Realm, key: dict[str, Any], **form: Any) -> dict[str, Any]:
    return granted(realm.token(grant_type="client_credentials", basic=(key["key_id"], key["key"]), **form))


def ends_within_a_lease(realm: Realm, access_token: str, end: Callable[[], object]) -> None:
    """Check that every gateway lets the token in, and after its end refuses it within one lease."""
    for gateway in range(2):
        assert realm.status(access_token, gateway) == 200
    end()
    ended = time.monotonic()
    for gateway in range(2):
        while realm.status(access_token, gateway) != 401:
            assert time.monotonic() < ended + LEASE + SLACK
            time.sleep(0.02)
    assert realm.status(access_token) == 401


def test_key_is_traded_for_a_token_that_speaks_for_it(realm: Realm, id: str) -> None:
    key = make_key(realm.administrator, roles=["editor"])
    token = key_token(realm, key)
    assert "refresh_token" not in token
    assert token["expires_in"] == 900
    claims = claims_of(token["access_token"])
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (PUBLIC_URL, PUBLIC_URL, key["key_id"])
    assert claims["sub"] == f"key:{key['key_id']}"
    assert claims["exp"] - claims["iat"] == 900
    assert header_of(token["access_token"])["typ"] == "at+jwt"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    with httpx2.Client(base_url=realm.gateways[1].gateway_url, headers=headers) as other:
        assert other.post("/settings", json={"setting_key": id, "setting_value": 1}).status_code == 201
        problem_of(other.get("/keys"), 403, "forbidden")
    (change,) = items_of(realm.administrator.get("/changes", params={"resource": "settings", "id": id}))
    assert change["actor"] == f"key:{key['key_id']}"


def test_client_proves_itself_in_the_form_as_well(realm: Realm) -> None:
    key = make_key(realm.administrator, roles=["viewer"])
    answer = realm.token(grant_type="client_credentials", client_id=key["key_id"], client_secret=key["key"])
    assert realm.status(granted(answer)["access_token"]) == 200
    both = realm.token(grant_type="client_credentials", basic=(key["key_id"], key["key"]), client_secret=key["key"])
    refused(both, 400, "invalid_request")


def test_wrong_client_is_one_and_the_same_error(realm: Realm) -> None:
    key, other = (make_key(realm.administrator, roles=["viewer"]) for _ in range(2))
    expired = make_key(realm.administrator)
    ended = {"expires_at": "2020-01-01T00:00:00Z"}
    assert realm.administrator.patch(f"/keys/{expired['key_id']}", json=ended).status_code == 200
    attempts = [
        (key["key_id"], made_up_key().text),
        (key["key_id"], other["key"]),
        ("nobody", key["key"]),
        (key["key_id"], key["digest"]),
        (expired["key_id"], expired["key"]),
    ]
    answers = [realm.token(grant_type="client_credentials", basic=attempt) for attempt in attempts]
    answers.append(realm.token(grant_type="client_credentials", client_id=key["key_id"]))
    answers.append(realm.token(grant_type="client_credentials"))
    name = realm.account()
    answers.append(realm.token(grant_type="password", username=name, password=PASSWORD, client_id=key["key_id"]))
    for answer in answers:
        refused(answer, 401, "invalid_client")
    assert len({answer.text for answer in answers}) == 1


def test_scope_asks_for_less_and_never_for_more(realm: Realm) -> None:
    key = make_key(realm.administrator, roles=["viewer"])
    narrow = key_token(realm, key, scope="users:read")
    assert narrow["scope"] == "users:read"
    assert realm.status(narrow["access_token"]) == 200
    assert realm.status(narrow["access_token"], target="/models") == 403
    for more in ("users:write", "users:read keys:admin", "nonsense"):
        answer = realm.token(grant_type="client_credentials", basic=(key["key_id"], key["key"]), scope=more)
        refused(answer, 400, "invalid_scope")
    name = realm.account(roles=["editor"])
    login = realm.log_in(name, scope="users:read users:write")
    assert login["scope"] == "users:read users:write"
    again = granted(realm.refresh(login["refresh_token"], scope="users:read"))
    assert again["scope"] == "users:read"
    refused(realm.refresh(again["refresh_token"], scope="models:read"), 400, "invalid_scope")
    assert granted(realm.refresh(again["refresh_token"]))["scope"] == "users:read users:write"


def test_token_is_bound_to_the_services_of_its_key(realm: Realm, id: str) -> None:
    for service in ("a", "b"):
        item = {"setting_key": f"{id}-{service}", "setting_value": 1, "service": service}
        assert realm.administrator.post("/settings", json=item).status_code == 201
    key = make_key(realm.administrator, roles=["viewer"], services=["a"])
    token = key_token(realm, key)["access_token"]
    assert claims_of(token)["services"] == ["a"]
    assert realm.status(token, target=f"/settings/{id}-a") == 200
    assert realm.status(token, target=f"/settings/{id}-b") == 404
    assert realm.administrator.patch(f"/keys/{key['key_id']}", json={"services": ["b"]}).status_code == 200
    time.sleep(LEASE)
    assert realm.status(token, target=f"/settings/{id}-a") == 404
    assert realm.status(token, target=f"/settings/{id}-b") == 200


def test_key_that_is_bound_to_more_than_a_token_can_name_is_told_so(realm: Realm) -> None:
    services = [f"{number:02}-{'x' * 250}" for number in range(32)]
    key = make_key(realm.administrator, roles=["viewer"], services=services)
    answer = realm.token(grant_type="client_credentials", basic=(key["key_id"], key["key"]))
    refused(answer, 400, "unauthorized_client")


def test_token_never_allows_more_than_its_key_does_now(realm: Realm) -> None:
    key = make_key(realm.administrator, roles=["viewer"])
    token = key_token(realm, key)["access_token"]
    assert realm.status(token, target="/models") == 200
    narrowed = {"roles": [], "scopes": ["users:read", "users:write"]}
    assert realm.administrator.patch(f"/keys/{key['key_id']}", json=narrowed).status_code == 200
    time.sleep(LEASE)
    assert realm.status(token, target="/models") == 403
    assert realm.status(token) == 200


@pytest.mark.parametrize("ending", ["delete", "rotate", "expire"])
def test_token_ends_with_its_key(realm: Realm, ending: str) -> None:
    key = make_key(realm.administrator, roles=["viewer"])
    path = f"/keys/{key['key_id']}"
    ends: dict[str, Callable[[], object]] = {
        "delete": lambda: realm.administrator.delete(path),
        "rotate": lambda: realm.administrator.post(f"{path}/rotate", json={"overlap_seconds": 0}),
        "expire": lambda: realm.administrator.patch(path, json={"expires_at": "2020-01-01T00:00:00Z"}),
    }
    ends_within_a_lease(realm, key_token(realm, key)["access_token"], ends[ending])
    refused(realm.token(grant_type="client_credentials", basic=(key["key_id"], key["key"])), 401, "invalid_client")


def test_password_is_traded_for_tokens(realm: Realm) -> None:
    name = realm.account(roles=["viewer"], services=["a"])
    login = realm.log_in(name)
    assert login["refresh_token"].startswith("sr-")
    claims = claims_of(login["access_token"])
    assert (claims["sub"], claims["client_id"], claims["services"]) == (f"user:{name}", "public", ["a"])
    assert realm.status(login["access_token"], gateway=1) == 200
    assert realm.status(login["access_token"], target="/accounts") == 403


def test_refresh_token_is_used_once_and_gives_the_next(realm: Realm) -> None:
    login = realm.log_in(realm.account(), client_id="console")
    token, seen = login["refresh_token"], {login["refresh_token"]}
    for number in range(5):
        refreshed = granted(realm.refresh(token, gateway=number % 2, client_id="console"))
        assert claims_of(refreshed["access_token"])["sid"] == claims_of(login["access_token"])["sid"]
        assert claims_of(refreshed["access_token"])["client_id"] == "console"
        token = refreshed["refresh_token"]
        assert token not in seen
        seen.add(token)
        assert realm.status(refreshed["access_token"]) == 200


def test_lost_answer_is_given_again_until_the_next_token_was_used(realm: Realm) -> None:
    first = realm.log_in(realm.account())["refresh_token"]
    second = granted(realm.refresh(first))["refresh_token"]
    assert granted(realm.refresh(first, gateway=1))["refresh_token"] == second
    with ThreadPoolExecutor(8) as threads:
        again = list(threads.map(lambda number: realm.refresh(first, gateway=number % 2), range(8)))
    assert {granted(answer)["refresh_token"] for answer in again} == {second}
    third = granted(realm.refresh(second))["refresh_token"]
    assert realm.refresh(first).json() == INVALID_GRANT
    assert realm.refresh(third).json() == INVALID_GRANT


def test_clients_that_refresh_at_the_same_time_get_one_token(realm: Realm) -> None:
    token = realm.log_in(realm.account())["refresh_token"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: realm.refresh(token, gateway=number % 2), range(16)))
    assert len({granted(answer)["refresh_token"] for answer in answers}) == 1


@pytest.mark.parametrize("reuse", ["an older one", "another client's"])
def test_reuse_ends_the_family(realm: Realm, reuse: str) -> None:
    first = realm.log_in(realm.account(), client_id="console")
    second = granted(realm.refresh(first["refresh_token"], client_id="console"))
    third = granted(realm.refresh(second["refresh_token"], client_id="console"))

    def use() -> None:
        token, client = (first, "console") if reuse == "an older one" else (third, "thief")
        assert realm.refresh(token["refresh_token"], client_id=client).json() == INVALID_GRANT

    ends_within_a_lease(realm, third["access_token"], use)
    for token in (first, second, third):
        assert realm.refresh(token["refresh_token"], client_id="console").json() == INVALID_GRANT
        assert realm.status(token["access_token"]) == 401


def test_token_that_somebody_made_up_ends_nothing(realm: Realm) -> None:
    login = realm.log_in(realm.account())
    token = login["refresh_token"]
    made_up = [token[:-1] + ("A" if token[-1] != "A" else "B"), "sr-" + "A" * 88, "nonsense", "sr-"]
    for text in made_up:
        assert realm.refresh(text).json() == INVALID_GRANT
    assert granted(realm.refresh(token))


@pytest.mark.parametrize("change", ["password", "roles", "services", "disabled", "empty", "delete"])
def test_changed_account_ends_what_was_logged_in(realm: Realm, change: str) -> None:
    name = realm.account(roles=["viewer"])
    login = realm.log_in(name)
    changes: dict[str, Any] = {
        "password": {"password": "Sphinx of black quartz"},
        "roles": {"roles": ["editor"]},
        "services": {"services": ["a"]},
        "disabled": {"disabled": True},
        "empty": {},
    }

    def end() -> None:
        if change == "delete":
            assert realm.administrator.delete(f"/accounts/{name}").status_code == 204
        else:
            data_of(realm.administrator.patch(f"/accounts/{name}", json=changes[change]), 200)

    ends_within_a_lease(realm, login["access_token"], end)
    assert realm.refresh(login["refresh_token"]).json() == INVALID_GRANT
    if change == "password":
        assert realm.status(realm.log_in(name, "Sphinx of black quartz")["access_token"]) == 200
    if change in ("password", "disabled", "delete"):
        answer = realm.token(grant_type="password", username=name, password=PASSWORD)
        assert answer.json() == INVALID_GRANT


@pytest.mark.parametrize("by", ["refresh token", "access token"])
def test_revoked_login_is_over(realm: Realm, by: str) -> None:
    login = realm.log_in(realm.account())
    token = login[by.replace(" ", "_")]

    def revoke() -> None:
        answer = realm.post("/auth/revoke", token=token, token_type_hint="nonsense")
        assert (answer.status_code, answer.content) == (200, b"")

    ends_within_a_lease(realm, login["access_token"], revoke)
    assert realm.refresh(login["refresh_token"]).json() == INVALID_GRANT
    assert realm.post("/auth/revoke", token=token).status_code == 200


def test_revocation_is_for_whom_the_token_was_issued_to(realm: Realm) -> None:
    login = realm.log_in(realm.account(), client_id="console")
    refused(realm.post("/auth/revoke", token=login["refresh_token"], client_id="thief"), 400, "invalid_grant")
    refused(realm.post("/auth/revoke", token=login["access_token"]), 400, "invalid_grant")
    refused(realm.post("/auth/revoke"), 400, "invalid_request")
    for unknown in ("nonsense", "sr-" + "A" * 88, login["access_token"][:-4] + "AAAA"):
        assert realm.post("/auth/revoke", token=unknown, client_id="console").status_code == 200
    assert granted(realm.refresh(login["refresh_token"], client_id="console"))
    key = make_key(realm.administrator, roles=["viewer"])
    access = key_token(realm, key)["access_token"]
    refused(realm.post("/auth/revoke", token=access, client_id=key["key_id"]), 401, "invalid_client")
    basic = (key["key_id"], key["key"])
    ends_within_a_lease(realm, access, lambda: realm.post("/auth/revoke", token=access, basic=basic))
    assert realm.status(key_token(realm, key)["access_token"]) == 200


def test_gateways_publish_the_same_keys_that_prove_their_tokens(realm: Realm) -> None:
    documents = [httpx2.get(f"{one.gateway_url}/.well-known/jwks.json") for one in realm.gateways]
    assert documents[0].json() == documents[1].json()
    assert documents[0].headers["cache-control"] == "public, max-age=3600"
    assert all("d" not in key for key in documents[0].json()["keys"])
    token = realm.log_in(realm.account(), gateway=1)["access_token"]
    (key,) = [one for one in documents[0].json()["keys"] if one["kid"] == header_of(token)["kid"]]
    signed, _, signature = token.rpartition(".")
    Ed25519PublicKey.from_public_bytes(decode(key["x"])).verify(decode(signature), signed.encode())


def test_metadata_says_where_everything_is(realm: Realm) -> None:
    answer = httpx2.get(f"{realm.url}/.well-known/oauth-authorization-server")
    metadata = answer.json()
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert metadata["issuer"] == PUBLIC_URL
    assert metadata["token_endpoint"] == f"{PUBLIC_URL}/auth/token"
    assert metadata["revocation_endpoint"] == f"{PUBLIC_URL}/auth/revoke"
    assert metadata["jwks_uri"] == f"{PUBLIC_URL}/.well-known/jwks.json"


def test_requests_that_are_none_are_told_so(realm: Realm) -> None:
    refused(realm.token(), 400, "invalid_request")
    refused(realm.token(grant_type="authorization_code"), 400, "unsupported_grant_type")
    refused(realm.token(grant_type="password", username="ada"), 400, "invalid_request")
    url = f"{realm.url}/auth/token"
    refused(httpx2.post(url, json={"grant_type": "password"}), 400, "invalid_request")
    refused(httpx2.post(url, data={"grant_type": "client_credentials"}, headers={"Authorization": "Bearer x"}), 401, "invalid_client")  # fmt: skip  # noqa: E501
    problem_of(httpx2.post(url, data={"grant_type": "password", "username": "x" * 20_000}), 413, "payload_too_large")
    problem_of(httpx2.get(url), 405, "method_not_allowed")
