"""Direct routes: found by the first segment, served as plain ASGI, drawn by FastAPI."""

from inspect import Parameter
from typing import Annotated

import pytest
from fastapi import FastAPI, Path
from fastapi.openapi.utils import get_openapi
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sarvanom.shared.errors import MethodNotAllowed, RouteNotFound
from sarvanom.shared.resources import RESOURCES
from sarvanom.web.archive_routes import add_archive_routes
from sarvanom.web.calls import AnyAnswer, Call
from sarvanom.web.log_routes import add_log_routes
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.request_headers import NDJSON
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.routing import (
    Declaration,
    DirectDispatch,
    DirectEndpoint,
    DirectRoute,
    declared_routes,
    direct_routes,
    line_routes,
)
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched


def route(path: str, method: str, answer: bytes) -> DirectRoute:
    replying = Replying(body=answer)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await replying(scope, receive, send)

    typed: DirectEndpoint = endpoint
    id = Parameter("user_id", Parameter.KEYWORD_ONLY, annotation=Annotated[str, Path()])
    declaration = Declaration([id] if "{" in path else [], {"operation_id": answer.decode()})
    return DirectRoute(path, typed, method, lambda: declaration)


ROUTES = [
    route("/users", "GET", b"list"),
    route("/users", "POST", b"create"),
    route("/users/{user_id:path}", "GET", b"read"),
    route("/users/{user_id:path}", "DELETE", b"delete"),
    route("/user-stats", "GET", b"stats"),
]


@pytest.fixture
def dispatch() -> DirectDispatch:
    return DirectDispatch(ROUTES, Replying(body=b"otherwise"))


@pytest.mark.parametrize(
    ("method", "path", "answer", "template", "parameters"),
    [
        ("GET", "/users", b"list", "/users", None),
        ("HEAD", "/users", b"list", "/users", None),
        ("POST", "/users", b"create", "/users", None),
        ("GET", "/users/ada", b"read", "/users/{user_id}", {"user_id": "ada"}),
        ("HEAD", "/users/ada", b"read", "/users/{user_id}", {"user_id": "ada"}),
        ("DELETE", "/users/a/b//c/", b"delete", "/users/{user_id}", {"user_id": "a/b//c/"}),
        ("GET", "/users//", b"read", "/users/{user_id}", {"user_id": "/"}),
        ("GET", "/users/users", b"read", "/users/{user_id}", {"user_id": "users"}),
        ("GET", "/user-stats", b"stats", "/user-stats", None),
    ],
)
async def test_path_finds_its_endpoint(
    dispatch: DirectDispatch, method: str, path: str, answer: bytes, template: str, parameters: dict[str, str] | None
) -> None:
    answered = await ask(dispatch, http_scope(method, path))
    assert answered.body == answer
    assert answered.scope[ROUTE] == template
    assert answered.scope.get("path_params") == parameters


@pytest.mark.parametrize(
    "path", ["/", "/user", "/Users", "//users", "/user-stats/x", "/user-stats/", "/health", "/users-x", ""]
)
async def test_other_paths_are_not_its_business(dispatch: DirectDispatch, path: str) -> None:
    answered = await ask(dispatch, http_scope(path=path))
    assert answered.body == b"otherwise"
    assert ROUTE not in answered.scope


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/users", "GET, HEAD, POST"),
        ("get", "/users", "GET, HEAD, POST"),
        ("POST", "/users/ada", "GET, HEAD, DELETE"),
        ("OPTIONS", "/users/ada", "GET, HEAD, DELETE"),
        ("POST", "/user-stats", "GET, HEAD"),
    ],
)
async def test_method_that_a_path_lacks_is_told_those_it_has(
    dispatch: DirectDispatch, method: str, path: str, allowed: str
) -> None:
    scope = http_scope(method, path)
    with pytest.raises(MethodNotAllowed) as caught:
        await ask(dispatch, scope)
    assert caught.value.headers == {"Allow": allowed}
    assert scope[ROUTE].startswith("/user")


async def test_collection_with_a_slash_behind_is_no_item(dispatch: DirectDispatch) -> None:
    with pytest.raises(RouteNotFound, match="the collection is /users"):
        await ask(dispatch, http_scope(path="/users/"))


async def test_what_is_not_http_passes_untouched() -> None:
    otherwise = Untouched()
    assert await is_untouched(DirectDispatch(ROUTES, otherwise), otherwise)


def test_routes_that_are_direct_are_told_from_others() -> None:
    app = FastAPI()
    app.router.routes.extend(ROUTES[:2])
    assert direct_routes(app) == ROUTES[:2]


def test_fastapi_draws_direct_routes() -> None:
    routes = declared_routes([*ROUTES, Mount("/elsewhere", Replying())])
    paths = get_openapi(title="", version="", routes=routes)["paths"]
    assert {path: sorted(methods) for path, methods in paths.items()} == {
        "/users": ["get", "post"], "/users/{user_id}": ["delete", "get"], "/user-stats": ["get"],
    }  # fmt: skip
    assert [one["name"] for one in paths["/users/{user_id}"]["get"]["parameters"]] == ["user_id"]


def test_lines_are_read_where_a_collection_grows_and_where_everything_is_restored() -> None:
    async def perform(_: Call) -> AnyAnswer:
        raise AssertionError

    app = FastAPI()
    add_resource_routes(app, perform)
    add_log_routes(app, perform)
    add_archive_routes(app, perform)
    collections = {("POST", f"/{resource.collection}") for resource in RESOURCES if not resource.grants}
    assert line_routes(direct_routes(app)) == collections | {("POST", "/import")}
    drawn = get_openapi(title="", version="", routes=declared_routes(app.routes))["paths"]
    assert line_routes(direct_routes(app)) == {
        (method.upper(), path)
        for path, operations in drawn.items()
        for method, operation in operations.items()
        if NDJSON in operation.get("requestBody", {}).get("content", {})
    }
