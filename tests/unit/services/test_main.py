"""The composition roots: everything is wired, and stopped in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from sarvanom.backends.storage.contract import StoreState
from sarvanom.backends.storage.schema import IncompatibleDatabase
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud import main as crud
from sarvanom.services.gateway import main as gateway
from sarvanom.settings import CrudSettings, GatewaySettings
from sarvanom.shared.clients.retries import RetryingTransport
from sarvanom.shared.clients.transport import Request, Response
from tests.harness.identity import ADMIN_KEY, INTERNAL_SECRET, administrators_key
from tests.harness.system import free_port
from tests.harness.valkey import ValkeyServer
from tests.services.played_crud import play_crud
from tests.unit.web.asgi import Answer, ask, http_scope, signed_scope

LOCAL = [(b"host", b"localhost:8000")]
KNOWN = [*LOCAL, (b"authorization", f"Bearer {ADMIN_KEY}".encode())]
JSON = (b"content-type", b"application/json")


@pytest.fixture
def crud_app(tmp_path: Path) -> FastAPI:
    return make_crud(tmp_path / "new" / "data")


def make_crud(folder: Path) -> FastAPI:
    return crud.create_app(CrudSettings.load(data_dir=folder, internal_secret=INTERNAL_SECRET, admin_key=ADMIN_KEY))


async def ask_crud(app: FastAPI, path: str, body: bytes | None = None) -> Answer:
    """Ask as a gateway does for an administrator."""
    if body is None:
        return await ask(app, signed_scope("GET", path, LOCAL))
    return await ask(app, signed_scope("POST", path, [JSON], body), body=[body])


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    async with app.router.lifespan_context(app):
        yield app


async def get(app: FastAPI, path: str, method: str = "GET", headers: list[tuple[bytes, bytes]] = KNOWN) -> Answer:
    return await ask(app, http_scope(method, path, headers))


async def test_crud_keeps_what_it_was_given(crud_app: FastAPI, tmp_path: Path) -> None:
    async with running(crud_app):
        created = await ask_crud(crud_app, "/settings", b'{"setting_key": "a/b", "setting_value": 1}')
        assert (created.status, created.headers["location"]) == (201, "/settings/a/b")
        read = await ask_crud(crud_app, "/settings/a/b")
        assert read.json["data"]["setting_value"] == 1
        assert read.headers["x-request-id"]
    again = make_crud(tmp_path / "new" / "data")
    async with running(again):
        assert (await ask_crud(again, "/settings/a/b")).status == 200


async def test_crud_is_ready_while_its_database_answers(crud_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(crud_app):
        ready = await get(crud_app, "/ready")
        assert {check["name"] for check in ready.json["checks"]} == {"database", "administrator key"}
        while ready.status != 200:
            ready = await get(crud_app, "/ready")

        async def fail(_: SQLiteStore) -> StoreState:
            raise ValueError

        with monkeypatch.context() as patched:
            patched.setattr(SQLiteStore, "look", fail)
            assert (await get(crud_app, "/ready")).status == 503
        assert (await get(crud_app, "/version")).json == {"service": "crud", "version": version("sarvanom")}


async def test_crud_closes_its_store_when_it_stops(crud_app: FastAPI) -> None:
    async with running(crud_app):
        pass
    late = await ask_crud(crud_app, "/settings", b'{"setting_key": "a", "setting_value": 1}')
    assert (late.status, late.json["code"]) == (503, "service_unavailable")


async def test_crud_closes_its_store_though_housekeeping_has_failed(
    crud_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[SQLiteStore] = []
    close = SQLiteStore.aclose

    async def note(store: SQLiteStore) -> None:
        closed.append(store)
        await close(store)

    async def fail(_: SQLiteStore) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(SQLiteStore, "aclose", note)
    monkeypatch.setattr(SQLiteStore, "reclaim", fail)
    try:
        async with running(crud_app):
            await asyncio.sleep(0)
    except ZeroDivisionError:
        pass
    assert len(closed) == 1


async def test_crud_serves_no_documentation(crud_app: FastAPI) -> None:
    async with running(crud_app):
        for path in ("/docs", "/openapi.json"):
            assert (await ask_crud(crud_app, path)).status == 404


def test_crud_does_not_start_on_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "sarvanom.db").write_bytes(b"x" * 5000)
    with pytest.raises(IncompatibleDatabase):
        make_crud(tmp_path)


def test_crud_finds_its_settings_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARVANOM_DATABASE_URL", f"sqlite:///{tmp_path}/deep/here.db")
    monkeypatch.setenv("SARVANOM_DATA_DIR", str(tmp_path))
    crud.create_app()
    assert (tmp_path / "deep" / "here.db").exists()


class Hop:
    """What the gateway sends to crud, answered without crud."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Request] = []
        self.closed = 0
        self.response: Response | Exception = Response(200, [JSON], b'{"status": "ok"}')
        monkeypatch.setattr(RetryingTransport, "send", self.send)
        monkeypatch.setattr(RetryingTransport, "aclose", self.aclose)

    async def send(self, request: Request) -> Response:
        if request.target == b"/authenticate":
            return Response(200, [JSON], administrators_key())
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def hop(monkeypatch: pytest.MonkeyPatch) -> Hop:
    return Hop(monkeypatch)


def make_gateway(**settings: Any) -> FastAPI:
    return gateway.create_app(GatewaySettings.load(internal_secret=INTERNAL_SECRET, **settings))


async def test_gateway_hands_calls_on_and_closes_its_hop(hop: Hop) -> None:
    app = make_gateway()
    async with running(app):
        answer = await get(app, "/users/ada")
        assert (answer.status, answer.body) == (200, b'{"status": "ok"}')
        assert hop.closed == 0
    assert [(request.method, request.target) for request in hop.requests] == [("GET", b"/users/ada")]
    assert (b"x-request-id", answer.headers["x-request-id"].encode()) in hop.requests[0].headers
    assert hop.closed == 1


async def test_gateway_is_ready_while_crud_answers() -> None:
    port = free_port()
    app = make_gateway(crud_urls=f"http://127.0.0.1:{port}")
    async with running(app):
        async with play_crud(port):
            ready = await get(app, "/ready")
        assert [(check["name"], check["ok"]) for check in ready.json["checks"]] == [("crud", True)]
        not_ready = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"
        async with play_crud(port, not_ready):
            ready = await get(app, "/ready")
        assert (ready.status, ready.json["checks"][0]["error"]) == (503, "crud is not ready")
        assert (await get(app, "/health")).status == 200


async def test_gateway_draws_the_whole_interface(hop: Hop) -> None:
    app = make_gateway()
    document = (await get(app, "/openapi.json")).json
    assert {"/users", "/users/{user_id}", "/cache-stats", "/changes", "/ready"} <= set(document["paths"])
    assert (await get(app, "/docs")).status == 200
    assert hop.requests == []


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, b"localhost:8000", 200),
        ({}, b"127.0.0.1", 200),
        ({}, b"[::1]:8000", 200),
        ({}, b"evil.example", 400),
        ({"gateway_host": "localhost"}, b"evil.example", 400),
        ({"gateway_host": "0.0.0.0"}, b"any.example", 200),
        ({"gateway_host": "0.0.0.0", "trusted_hosts": "api.example"}, b"any.example", 400),
        ({"trusted_hosts": "api.example, *.b.example"}, b"x.b.example", 200),
        ({"trusted_hosts": "api.example"}, b"localhost", 400),
    ],
)
async def test_gateway_answers_to_the_names_it_trusts(
    hop: Hop, settings: dict[str, str], host: bytes, status: int
) -> None:
    answer = await get(make_gateway(**settings), "/health", headers=[(b"host", host)])
    assert answer.status == status


async def test_gateway_takes_bodies_up_to_its_limit(hop: Hop) -> None:
    app = make_gateway(max_body_bytes=1024)
    for size, status in ((1024, 200), (1025, 413)):
        body = b'{"setting_key":"a","setting_value":""}'.ljust(size)
        scope = http_scope("POST", "/settings", [*KNOWN, JSON, (b"content-length", b"%d" % size)])
        assert (await ask(app, scope, body=[body])).status == status


async def test_web_pages_may_call_only_from_origins_that_were_named(hop: Hop) -> None:
    origin = (b"origin", b"https://app.example")
    answered = await get(make_gateway(cors_origins="https://app.example"), "/users", headers=[*KNOWN, origin])
    assert answered.headers["access-control-allow-origin"] == "https://app.example"
    refused = await get(make_gateway(), "/users", headers=[*KNOWN, origin])
    assert "access-control-allow-origin" not in refused.headers


async def test_gateway_limits_whoever_has_not_said_who_it_is(hop: Hop) -> None:
    app = make_gateway(limit_anonymous_per_minute=2, limit_probes_per_minute=1)
    statuses = [(await get(app, "/users/ada", headers=LOCAL)).status for _ in range(3)]
    assert statuses == [401, 401, 429]
    refused = await get(app, "/users/ada", headers=LOCAL)
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit"] == f'"anonymous";r=0;t={refused.headers["retry-after"]}'
    assert [(await get(app, "/health")).status for _ in range(2)] == [200, 429]
    assert (await get(app, "/users/ada")).status == 200, "who has said it is another caller"


async def test_an_error_tells_what_is_left_as_an_answer_does(hop: Hop) -> None:
    app = make_gateway(limit_reads_per_minute=9)
    for path in ("/users/ada", "/users//", "/nothing"):
        assert (await get(app, path)).headers["x-ratelimit-limit-requests"] == "9"
    assert "ratelimit" not in (await get(app, "/users", headers=[(b"host", b"evil.example")])).headers


async def test_web_pages_may_read_what_is_left(hop: Hop) -> None:
    headers = [*LOCAL, (b"origin", b"https://app.example")]
    answer = await get(make_gateway(cors_origins="https://app.example"), "/users/ada", headers=headers)
    exposed = answer.headers["access-control-expose-headers"]
    assert {"Retry-After", "RateLimit", "RateLimit-Policy", "x-ratelimit-remaining-requests"} <= set(
        exposed.split(", ")
    )


async def test_every_operation_may_be_refused_for_its_number(hop: Hop) -> None:
    paths = (await get(make_gateway(), "/openapi.json")).json["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) > 30
    for operation in operations:
        assert {"Retry-After", "RateLimit"} <= set(operation["responses"]["429"]["headers"])


async def test_gateway_shares_its_limits_through_valkey(hop: Hop, valkey: ValkeyServer) -> None:
    apps = [make_gateway(valkey_url=valkey.url, limit_anonymous_per_minute=4) for _ in range(2)]
    async with running(apps[0]), running(apps[1]):
        scope = http_scope("GET", "/users/ada", LOCAL, client=("198.51.100.77", 1))
        statuses = [(await ask(app, dict(scope))).status for _ in range(3) for app in apps]
    assert statuses == [401] * 4 + [429] * 2


def test_gateway_does_not_start_with_a_url_of_valkey_that_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="URL of Valkey cannot be read") as caught:
        make_gateway(valkey_url="valkey://:hunter2@db:port")
    assert "hunter2" not in str(caught.value)


def test_gateway_finds_its_settings_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARVANOM_INTERNAL_SECRET", INTERNAL_SECRET)
    monkeypatch.setenv("SARVANOM_CRUD_URLS", "ftp://crud")
    with pytest.raises(ValueError, match="ftp"):
        gateway.create_app()
