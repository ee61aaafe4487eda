"""Every route, method and kind of caller, at the gateway and straight at crud: who is let in, and who is not."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.api_keys import make_key as made_up_key
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.security.statements import Statements
from tests.harness.identity import ADMIN_KEY, ADMINISTRATOR, INTERNAL_SECRET, STATEMENT_KEY, STATEMENTS
from tests.harness.system import RunningProcess
from tests.services.access_table import JSON, ROWS, Row
from tests.services.answers import problem_of
from tests.services.keys import Key, make_key
from tests.services.logins import PASSWORD, granted
from tests.services.samples import SAMPLES
from tests.unit.security.tokens import claims_of, ed25519, header_of, unsigned, write

METHODS = [(method, path) for method, path in ROWS] + [("HEAD", path) for method, path in ROWS if method == "GET"]
AT_CRUD = [(method, path) for method, path in METHODS if ROWS["GET" if method == "HEAD" else method, path].is_at_crud]


@dataclass(frozen=True, slots=True)
class World:
    """Something in every collection, and callers of every kind, by the header that they send."""

    id: str
    key_id: str
    known: Mapping[str, str]
    unknown: Mapping[str, str | None]

    def target(self, row: Row) -> str:
        return row.target.replace("{id}", self.id).replace("{key}", self.key_id)

    def body(self, row: Row) -> bytes | None:
        if row.body is None:
            return None
        filled: dict[str, Any] = {
            name: value.replace("{id}", self.id) if isinstance(value, str) else value
            for name, value in row.body.items()
        }
        return orjson.dumps(filled)


BY_TOKEN = " by token"
OUR_KEYS = SigningKeys(INTERNAL_SECRET.encode())
"""Those of the system under test."""


def token_of(http: httpx2.Client, key: Key) -> str:
    """Trade a key for an access token."""
    return tokens_of(http, grant_type="client_credentials", client_id=key["key_id"], client_secret=key["key"])[0]


def tokens_of(http: httpx2.Client, **form: str) -> tuple[str, str]:
    """Trade a credential for an access token and a refresh token, if there is one."""
    with httpx2.Client(base_url=http.base_url, timeout=20) as stranger:
        body = granted(stranger.post("/auth/token", data=form))
    return body["access_token"], body.get("refresh_token", "")


def refused_tokens(http: httpx2.Client, admin: Key) -> dict[str, str]:
    """Return tokens of administrators that are over, meant for others, or stand on no session."""
    good = token_of(http, admin)
    head, claims, signature = good.split(".")
    made, ours = claims_of(good), AccessTokens(OUR_KEYS, issuer=(url := claims_of(good)["iss"]), audience=url)

    private: Any = OUR_KEYS.current().private.private_key

    def signed(**others: Any) -> str:
        return write(header_of(good), made | others, ed25519(private))

    same = httpx2.get(f"{url}/keys?limit=1", headers={"authorization": f"Bearer {signed()}"})
    assert same.status_code == 200  # so that the others are refused for what they change

    revoked_key, login = make_key(http, roles=["admin"]), f"matrix-{uuid4().hex}"
    of_revoked_key = token_of(http, revoked_key)
    assert http.delete(f"/keys/{revoked_key['key_id']}").status_code == 204
    account = {"account_id": login, "password": PASSWORD, "roles": ["admin"]}
    assert http.post("/accounts", json=account).status_code == 201
    password = {"grant_type": "password", "username": login, "password": PASSWORD}
    revoked, refresh = tokens_of(http, **password)
    assert httpx2.post(f"{url}/auth/revoke", data={"token": refresh}).status_code == 200
    logged_out, old_refresh = tokens_of(http, **password)
    assert http.patch(f"/accounts/{login}", json={}).status_code == 200
    return {
        "expired token": signed(exp=int(time.time()) - 31, iat=1_700_000_000, nbf=1_700_000_000),
        "token that is not valid yet": signed(nbf=int(time.time()) + 600),
        "token for another audience": signed(aud="https://other.example.org"),
        "token of another issuer": signed(iss="https://other.example.org"),
        "revoked token": revoked,
        "token of a revoked key": of_revoked_key,
        "token of who was logged out": logged_out,
        "our own signature, no session": ours.issue(ADMINISTRATOR, client_id="x").text,
        "our own signature, unknown session": ours.issue(ADMINISTRATOR, client_id="x", family="A" * 22).text,
        "another's signature": write(header_of(good), made, unsigned),
        "no signature": f"{head}.{claims}.",
        "another's claims": f"{head}.{logged_out.split('.')[1]}.{signature}",
        "refresh token": old_refresh,
    }


@pytest.fixture(scope="module")
def world(clients: dict[str, httpx2.Client]) -> World:
    http = clients["gateway"]
    id = f"matrix-{uuid4().hex}"
    for sample in SAMPLES:
        assert http.post(f"/{sample.collection}", json=sample.least(id)).status_code == 201
    account = {"account_id": id, "password": "Zwölf Boxkämpfer jagen"}
    assert http.post("/accounts", json=account).status_code == 201
    keys = {role: make_key(http, roles=[role]) for role in ("viewer", "service", "editor", "admin")}
    keys["bound"] = make_key(http, roles=["admin"], services=["elsewhere"])
    keys_text = {name: f"Bearer {key['key']}" for name, key in keys.items()}
    tokens = {f"{name}{BY_TOKEN}": f"Bearer {token_of(http, key)}" for name, key in keys.items()}
    expired = make_key(http, roles=["admin"])
    ended = {"expires_at": "2020-01-01T00:00:00Z"}
    assert http.patch(f"/keys/{expired['key_id']}", json=ended).status_code == 200
    revoked = make_key(http, roles=["admin"])
    assert http.delete(f"/keys/{revoked['key_id']}").status_code == 204
    rotated = make_key(http, roles=["admin"])
    assert http.post(f"/keys/{rotated['key_id']}/rotate", json={"overlap_seconds": 0}).status_code == 200
    return World(
        id,
        keys["viewer"]["key_id"],
        keys_text | tokens,
        {
            **{name: f"Bearer {token}" for name, token in refused_tokens(http, keys["admin"]).items()},
            "none": None,
            "empty": "",
            "no token": "Bearer",
            "another scheme": f"Basic {ADMIN_KEY}",
            "no scheme": ADMIN_KEY,
            "malformed": "Bearer sk-nonsense",
            "no key": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJrZXk6a2V5LWFkbWluaXN0cmF0b3IifQ.",
            "mistyped": f"Bearer {keys['admin']['key'][:-1]}_",
            "unknown": f"Bearer {made_up_key().text}",
            "digest for a key": f"Bearer {keys['admin']['digest']}",
            "expired": f"Bearer {expired['key']}",
            "revoked": f"Bearer {revoked['key']}",
            "rotated away": f"Bearer {rotated['key']}",
        },
    )


@pytest.fixture(scope="module")
def stranger(system: RunningProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=system.gateway_url, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def at_crud(system: RunningProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=system.crud_url, timeout=20) as client:
        yield client


def row_of(method: str, path: str) -> Row:
    return ROWS["GET" if method == "HEAD" else method, path]


def headers_of(row: Row, **more: str | None) -> dict[str, str]:
    headers = {**({} if row.body is None else JSON), **row.headers}
    return headers | {name.replace("_", "-"): value for name, value in more.items() if value is not None}


def test_no_route_is_without_a_row(stranger: httpx2.Client) -> None:
    document = stranger.get("/openapi.json").json()
    declared = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert declared == set(ROWS)
    for (method, path), row in ROWS.items():
        operation = document["paths"][path][method.lower()]
        assert bool(operation["security"]) is not row.is_open
        assert row.is_open or {"401", "403", "503"} <= set(operation["responses"])


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_who_is_known_may_do_what_the_table_says(stranger: httpx2.Client, world: World, method: str, path: str) -> None:
    row = row_of(method, path)
    for name, authorization in world.known.items():
        headers = headers_of(row, authorization=authorization)
        answer = stranger.request(method, world.target(row), content=world.body(row), headers=headers)
        assert (name, answer.status_code) == (name, row.expect(name.removesuffix(BY_TOKEN))), answer.text
        if answer.status_code == 403 and method != "HEAD":
            problem_of(answer, 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_who_is_unknown_is_refused_everywhere(stranger: httpx2.Client, world: World, method: str, path: str) -> None:
    row = row_of(method, path)
    for name, authorization in world.unknown.items():
        headers = headers_of(row, authorization=authorization)
        answer = stranger.request(method, world.target(row), content=world.body(row), headers=headers)
        assert (name, answer.status_code) == (name, row.status if row.is_open else 401)
        if not row.is_open:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert method == "HEAD" or problem_of(answer, 401, "unauthorized")
    if not row.is_open:
        twice = [("authorization", f"Bearer {ADMIN_KEY}"), *headers_of(row, authorization="Bearer x").items()]
        answer = stranger.request(method, world.target(row), content=world.body(row), headers=twice)
        assert answer.status_code == 400


def sent_anyway(client: httpx2.Client, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return what the client puts before the others of headers that a statement covers, unless it is told otherwise."""
    return [] if "accept" in headers else [(b"accept", client.headers["accept"].encode())]


@pytest.mark.parametrize(("method", "path"), AT_CRUD)
def test_crud_answers_nobody_but_a_gateway(at_crud: httpx2.Client, world: World, method: str, path: str) -> None:
    row = row_of(method, path)
    target, body, plain = world.target(row), world.body(row) or b"", headers_of(row)
    pairs = sent_anyway(at_crud, plain) + [(name.encode(), value.encode()) for name, value in plain.items()]
    now = time.time_ns() // 1_000_000

    def sign(statements: Statements, method: str = method, target: str = target, body: bytes | None = body) -> str:
        return statements.sign(ADMINISTRATOR, method, target.encode(), pairs, body).decode()

    refused = {
        "none": None,
        "a key": f"Bearer {ADMIN_KEY}",
        "forged": sign(Statements(b"f" * 32)),
        "old": sign(Statements(STATEMENT_KEY, clock_ms=lambda: now - 61_000)),
        "ahead": sign(Statements(STATEMENT_KEY, clock_ms=lambda: now + 120_000)),
        "another target": sign(STATEMENTS, target=f"{target}x"),
        "another method": sign(STATEMENTS, method="OPTIONS"),
    }
    for name, statement in refused.items():
        authorization = f"Bearer {ADMIN_KEY}"
        headers = headers_of(row, sarvanom_identity=statement, authorization=authorization)
        answer = at_crud.request(method, target, content=body or None, headers=headers)
        assert (name, answer.status_code) == (name, row.status if row.is_open else 401), answer.text
    token = world.known[f"admin{BY_TOKEN}"]
    answer = at_crud.request(method, target, content=body or None, headers=headers_of(row, authorization=token))
    assert answer.status_code == (row.status if row.is_open else 401)
    statement = sign(STATEMENTS)
    good = at_crud.request(method, target, content=body or None, headers=headers_of(row, sarvanom_identity=statement))
    assert good.status_code == row.expect("admin"), good.text
    if body and path != "/import":  # which is refused before its body is read
        changed = at_crud.request(
            method, target, content=body + b" ", headers=headers_of(row, sarvanom_identity=statement)
        )
        assert changed.status_code == 401
    twice = [*plain.items(), ("sarvanom-identity", statement), ("sarvanom-identity", statement)]
    answer = at_crud.request(method, target, content=body or None, headers=twice)
    assert answer.status_code == (row.status if row.is_open else 401)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/assets/init.js", "/docs/assets/swagger-ui.css"])
def test_documentation_is_open(stranger: httpx2.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/docs/", "/docs/assets/other", "/authenticate", "//health", "/health/"])
def test_what_is_no_route_says_nothing_to_strangers(stranger: httpx2.Client, path: str) -> None:
    for method in ("GET", "POST"):
        problem_of(stranger.request(method, path), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/authenticate", "/sessions", "/sessions/find", "/sessions/end"])
def test_the_gateways_own_questions_are_answered_to_gateways_alone(
    gateway: httpx2.Client, at_crud: httpx2.Client, path: str
) -> None:
    body = b"0" * 64
    problem_of(gateway.post(path, content=body), 404, "route_not_found")
    problem_of(at_crud.post(path, content=body), 401, "unauthorized")
    statement = STATEMENTS.sign(ADMINISTRATOR, "POST", path.encode(), sent_anyway(at_crud, {}), body).decode()
    answer = at_crud.post(path, content=body, headers={"sarvanom-identity": statement})
    problem_of(answer, 403, "forbidden")


def test_captured_write_acts_once(at_crud: httpx2.Client, id: str) -> None:
    """Whoever captures a request with its statement can send it again, and changes nothing by that."""
    body = orjson.dumps({"setting_key": id, "setting_value": 1})
    headers = {"content-type": "application/json", "idempotency-key": f"captured-{id}"}
    pairs = sent_anyway(at_crud, headers) + [(name.encode(), value.encode()) for name, value in headers.items()]
    headers["sarvanom-identity"] = STATEMENTS.sign(ADMINISTRATOR, "POST", b"/settings", pairs, body).decode()
    first = at_crud.post("/settings", content=body, headers=headers)
    assert first.status_code == 201
    again = at_crud.post("/settings", content=body, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"], again.content) == (201, "true", first.content)
    other_key = at_crud.post("/settings", content=body, headers={**headers, "idempotency-key": "another"})
    problem_of(other_key, 401, "unauthorized")
