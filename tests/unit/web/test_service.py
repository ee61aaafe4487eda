"""A service: direct routes and FastAPI's behind one list of middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.shared.errors import ResourceNotFound
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.routing import Declaration, DirectRoute
from sarvanom.web.service import Service
from tests.unit.web.asgi import Replying, ask, http_scope


class Passing:
    """Middleware that notes its name in the scope."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("passed", []).append(self.name)
        await self.app(scope, receive, send)


async def serve_direct(scope: Scope, receive: Receive, send: Send) -> None:
    await Replying(body=b"direct")(scope, receive, send)


def make_service(started: list[str] | None = None) -> Service:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        (started if started is not None else []).append("up")
        yield
        (started if started is not None else []).append("down")

    app = Service(
        edge=[partial(Passing, name="outer"), ProblemMiddleware, partial(Passing, name="inner")], lifespan=lifespan
    )
    app.router.routes.append(DirectRoute("/direct", serve_direct, "GET", lambda: Declaration([], {})))

    @app.get("/declared")
    async def declared() -> str:
        return "declared"

    @app.get("/missing")
    async def missing() -> None:
        raise ResourceNotFound("There is nothing")

    return app


@pytest.mark.parametrize(("path", "body"), [("/direct", b"direct"), ("/declared", b'"declared"')])
async def test_middleware_stands_before_all_routes_in_its_order(path: str, body: bytes) -> None:
    app = make_service()
    for _ in range(2):
        answer = await ask(app, http_scope(path=path))
        assert answer.body == body
        assert answer.scope["passed"] == ["outer", "inner"]
        assert answer.scope["app"] is app


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/missing", 404), ("GET", "/nowhere", 404), ("PUT", "/direct", 405)]
)
async def test_errors_of_all_routes_are_problems(method: str, path: str, status: int) -> None:
    answer = await ask(make_service(), http_scope(method, path))
    assert answer.status == answer.json["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_fastapi_serves_no_documentation_of_its_own(path: str) -> None:
    assert (await ask(make_service(), http_scope(path=path))).status == 404


async def test_lifespan_runs_before_and_after_requests() -> None:
    started: list[str] = []
    app = make_service(started)
    asked: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answered: list[str] = []

    async def receive() -> Message:
        return asked.pop(0)

    async def send(message: Message) -> None:
        answered.append(message["type"])

    await ask(app, http_scope(path="/direct"))
    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert started == ["up", "down"]


def test_document_has_the_problem_that_all_errors_are() -> None:
    app = make_service()
    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert schemas["Problem"]["properties"]["errors"]["items"] == {"$ref": "#/components/schemas/ProblemField"}
    assert "ProblemField" in schemas
    assert "$defs" not in schemas["Problem"]
    assert app.openapi() is document
