"""Routes that FastAPI declares and that are served without its machinery.

A direct route's endpoint is an ASGI application, and is found by the first segment of the path, since an id may hold
slashes. What FastAPI is to draw in OpenAPI is put together when somebody asks for the document, and not at each start.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.errors import MethodNotAllowed, RouteNotFound
from sarvanom.web.middleware.observation import ROUTE


class DirectEndpoint(Protocol):
    """An ASGI application that is a function."""

    __name__: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Declaration(NamedTuple):
    """What FastAPI draws of an operation: its parameters, and what `APIRoute` takes beside them."""

    parameters: Sequence[inspect.Parameter]
    declared: Mapping[str, Any]


class DirectRoute(BaseRoute):
    """A route that `endpoint` serves as plain ASGI, by `DirectDispatch`, and that FastAPI declares as `declare` says.

    `path` is `/collection` or `/collection/{id}`; HEAD is served wherever GET is. `reads_lines` says whether a body of
    lines is declared, which the endpoint then reads as it comes in.
    """

    def __init__(
        self,
        path: str,
        endpoint: DirectEndpoint,
        method: str,
        declare: Callable[[], Declaration],
        *,
        reads_lines: bool = False,
    ) -> None:
        self.path = path
        self.endpoint = endpoint
        self.method = method
        self.reads_lines = reads_lines
        _, self.path_format, convertors = compile_path(path)
        self.id_field = next(iter(convertors), "")
        self._declare = declare

    def matches(self, _: Scope) -> tuple[Match, Scope]:
        """Match nothing: whom no dispatch has found is not here."""
        return Match.NONE, {}

    def declaration(self) -> APIRoute:
        """Return the route that FastAPI draws."""
        parameters, declared = self._declare()

        def endpoint() -> None: ...

        endpoint.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
        return APIRoute(self.path, endpoint, methods=[self.method], **declared)


class _Methods:
    """The endpoints of one path, by method."""

    def __init__(self) -> None:
        self.endpoints: dict[str, ASGIApp] = {}
        self.template = ""
        self.id_field = ""

    def find(self, method: str) -> ASGIApp:
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            allowed = ", ".join(self.endpoints)
            raise MethodNotAllowed(f"{self.template} has {allowed}, not {method}", headers={"Allow": allowed})
        return endpoint


class DirectDispatch:
    """An ASGI application that serves direct routes by an index over their paths, and everything else by another.

    `/collection/{id}/action` is a route of its own where ids hold no slashes; it is given after `/collection/{id}`.
    """

    def __init__(self, routes: Sequence[DirectRoute], otherwise: ASGIApp) -> None:
        self._collections: dict[str, _Methods] = {}
        self._items: dict[str, _Methods] = {}
        self._actions: dict[tuple[str, str], _Methods] = {}
        self._otherwise = otherwise
        for route in routes:
            self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        methods, head, id = self._find(scope["path"])
        if methods is None:
            await self._otherwise(scope, receive, send)
            return
        if id is not None:
            if not id:
                raise RouteNotFound(f"There is nothing at /{head}/; the collection is /{head}")
            scope["path_params"] = {methods.id_field: id}
        scope[ROUTE] = methods.template
        await methods.find(scope["method"])(scope, receive, send)

    def template_of(self, path: str) -> str | None:
        """Return the template that a path matches, None if there is none."""
        methods, _, id = self._find(path)
        return None if methods is None or id == "" else methods.template

    def _find(self, path: str) -> tuple[_Methods | None, str, str | None]:
        """Return the endpoints of a path, its first segment, and the id; None where it has none."""
        head, slash, id = path[1:].partition("/")
        if not slash:
            return self._collections.get(head), head, None
        owner, _, action = id.rpartition("/")
        if owner and (head, action) in self._actions:
            return self._actions[head, action], head, owner
        return self._items.get(head), head, id

    def _add(self, route: DirectRoute) -> None:
        head, slash, rest = route.path[1:].partition("/")
        action = rest.partition("}/")[2]
        if action and head in self._items:
            methods = self._actions.setdefault((head, action), _Methods())
        else:
            methods = (self._items if slash else self._collections).setdefault(head, _Methods())
        methods.template = route.path_format
        methods.id_field = route.id_field
        methods.endpoints[route.method] = route.endpoint
        if route.method == "GET":
            methods.endpoints["HEAD"] = route.endpoint


def line_routes(routes: Sequence[DirectRoute]) -> frozenset[tuple[str, str]]:
    """Return method and path of every request that may have a body of lines."""
    return frozenset((route.method, route.path) for route in routes if route.reads_lines)


def direct_routes(app: FastAPI) -> list[DirectRoute]:
    """Return the app's direct routes."""
    return [route for route in app.routes if isinstance(route, DirectRoute)]


def declared_routes(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return the routes as FastAPI draws them."""
    return [route.declaration() if isinstance(route, DirectRoute) else route for route in routes]
