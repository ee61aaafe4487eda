"""What authentication, permission, limits, inspection and the statement between the services cost a request."""

import asyncio
import os
import time
from collections.abc import AsyncIterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, override

import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.errors import MeasurementFailed
from benchmarks.parts.base import Bench, Part, collecting_as_services_do
from benchmarks.parts.limiter import WIDE
from benchmarks.results import EdgeCost
from benchmarks.systems.base import Api
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.security.api_keys import digest_of, hint_of, make_key
from sarvanom.security.inspection.findings import Mode
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.statements import HEADER, Headers, Statements
from sarvanom.services.gateway.api_keys import ApiKeys
from sarvanom.services.gateway.authentication import BearerAuthentication
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.services.gateway.relay import Relay
from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.models.key_models import ApiKey, Role
from sarvanom.shared.models.profiles import Profile
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.calls import Answer, AnyAnswer, Call
from sarvanom.web.edge import crud_edge, gateway_edge
from sarvanom.web.inspection import Inspection
from sarvanom.web.middleware.authentication import AuthenticationMiddleware
from sarvanom.web.middleware.identity import IdentityMiddleware
from sarvanom.web.middleware.inspection import InspectionMiddleware
from sarvanom.web.middleware.limits import LimitMiddleware
from sarvanom.web.middleware.statement import StatementMiddleware
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Middleware, Service

REQUESTS: Final = 2000
TRIES: Final = 5
"""How often each is measured in a round; the least counts, for what else the machine does can only add."""
GUARDS: Final = (
    AuthenticationMiddleware,
    LimitMiddleware,
    IdentityMiddleware,
    InspectionMiddleware,
    StatementMiddleware,
)
SOMEBODY: Final = Principal("key:benchmark", SCOPES)
ANSWERED: Final = b'{"status":"success","message":"users/ada read","data":{},"metadata":{}}'
ANSWER_HEADERS: Final = [(b"content-type", b"application/json"), (b"etag", b'"1"')]
BODY: Final = Api(collection="/users", listing="/users?limit=50").body("u00000000000001").encode()


class Edge(Part):
    """The real routes and middleware of both services over an answer that costs nothing, with the guards and without.

    No network is between them: what is measured is the difference alone.
    """

    name = "edge"

    @override
    def measure(self, bench: Bench) -> None:
        guards = "authentication, permission, limits, inspection, statement"
        with bench.steps.step(self.name, guards), collecting_as_services_do():
            for _ in range(bench.rounds):
                bench.results.edge += uvloop.run(_measure())


async def _measure() -> list[EdgeCost]:
    statements = Statements(os.urandom(32))
    key = make_key().text
    costs = []
    limits = MemoryLimits()
    await limits.open()
    guarded = gateway_edge(
        BearerAuthentication(ApiKeys(partial(find_key, key), lease=3600), lease=3600),
        trusted_hosts=["127.0.0.1"],
        cors_origins=[],
        max_body_bytes=2**20,
        limits=limits,
        limit_policy=WIDE,
        inspection=Inspection(Inspector(), {Profile.STRICT: Mode.BLOCK, Profile.FREE: Mode.DETECT}),
    )
    between = crud_edge(statements)
    gateway = _service(guarded, statements), _service(_unguarded(guarded), _Unsigned(b""))
    crud = _service(between), _service(_unguarded(between))
    for case, method, path, body in (("get", "GET", "/users/ada", b""), ("create", "POST", "/users", BODY)):
        asked = scope_of(method, path, body, (b"authorization", b"Bearer " + key.encode()))
        stated = statements.sign(SOMEBODY, method, path.encode(), asked["headers"], body)
        handed_on = scope_of(method, path, body, (HEADER, stated))
        at_gateway, at_crud = await _added(*gateway, asked, body), await _added(*crud, handed_on, body)
        costs.append(EdgeCost(case, at_gateway, at_crud))
    await limits.aclose()
    return costs


async def find_key(key: str, digest: str) -> ApiKey | None:
    found = ApiKey(key_id="benchmark", name="benchmark", roles=[Role.ADMIN], hint=hint_of(key), digest=digest_of(key))
    return found if digest == found.digest else None


def _service(edge: Sequence[Middleware], statements: Statements | None = None) -> ASGIApp:
    app = Service(title="benchmark", version="0", edge=edge)
    hop = None if statements is None else Relay(_Constant(), statements, Recognition("benchmark", Path()))
    add_resource_routes(app, hop or answer_call)
    return app


def _unguarded(edge: Sequence[Middleware]) -> list[Middleware]:
    """Return the same edge without the guards; somebody who may do everything asks."""
    return [*(each for each in edge if getattr(each, "func", each) not in GUARDS), _Proven]


class _Proven:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PRINCIPAL] = SOMEBODY
        await self._app(scope, receive, send)


class _Unsigned(Statements):
    @override
    def sign(self, principal: Principal, method: str, target: bytes, headers: Headers, body: bytes | None) -> bytes:
        return b""


class _Constant(Transport):
    @override
    async def send(self, request: Request) -> Response:
        return Response(200, ANSWER_HEADERS, ANSWERED)

    @override
    def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        raise MeasurementFailed("edge: nothing is streamed")

    @override
    async def aclose(self) -> None:
        return


async def answer_call(_: Call) -> AnyAnswer:
    return Answer(200, ANSWER_HEADERS, ANSWERED)


async def _added(guarded: ASGIApp, bare: ASGIApp, scope: Scope, body: bytes) -> float:
    """Return how many CPU microseconds a request costs more with the guards."""
    with_guards, without = [], []
    for _ in range(TRIES):
        with_guards.append(await load(guarded, scope, body))
        without.append(await load(bare, scope, body))
    return min(with_guards) - min(without)


async def load(app: ASGIApp, scope: Scope, body: bytes, requests: int = REQUESTS) -> float:
    """Return how many CPU microseconds a request costs."""
    statuses = set[int]()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.add(message["status"])

    began = time.process_time()
    for _ in range(requests):
        await app({**scope, "headers": [*scope["headers"]]}, receive, send)
    used = time.process_time() - began
    if statuses != {200}:
        raise MeasurementFailed(f"edge: {scope['method']} {scope['path']} was answered with {statuses}")
    await asyncio.sleep(0)
    return used * 1e6 / requests


def scope_of(method: str, path: str, body: bytes, proof: tuple[bytes, bytes]) -> Scope:
    headers = [
        (b"content-type", b"application/json"),
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"benchmark"),
        (b"accept", b"*/*"),
        (b"content-length", b"%d" % len(body)),
        proof,
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
