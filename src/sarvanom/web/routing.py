"""Routes that FastAPI declares and that are served without its machinery.

A direct route's endpoint is an ASGI application whose signature says what FastAPI is to draw in OpenAPI. It is found by
the first segment of the path, since an id may hold slashes.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.errors import MethodNotAllowed, RouteNotFound
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.request_headers import NDJSON


class DirectEndpoint(Protocol):
    """An ASGI application that is a function."""

    __name__: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class DirectRoute(APIRoute):
    """A route that FastAPI declares by `parameters` and that `endpoint` serves as plain ASGI.

    `path` is `/collection` or `/collection/{id}`; HEAD is served wherever GET is.
    """

    def __init__(
        self, path: str, endpoint: DirectEndpoint, method: str, parameters: Sequence[inspect.Parameter], **declared: Any
    ) -> None:
        endpoint.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
        super().__init__(path, endpoint, methods=[method], **declared)
        self.app = endpoint

    @property
    def reads_lines(self) -> bool:
        """Whether a body of lines is declared, which the endpoint then reads as it comes in."""
        return NDJSON in (self.openapi_extra or {}).get("requestBody", {}).get("content", {})


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
        methods.id_field = next(iter(route.param_convertors), "")
        for method in route.methods or ():
            methods.endpoints[method] = route.app
            if method == "GET":
                methods.endpoints["HEAD"] = route.app


def line_routes(routes: Sequence[DirectRoute]) -> frozenset[tuple[str, str]]:
    """Return method and path of every request that may have a body of lines."""
    return frozenset((method, route.path) for route in routes if route.reads_lines for method in route.methods or ())


def direct_routes(app: FastAPI) -> list[DirectRoute]:
    """Return the app's direct routes."""
    return [route for route in app.routes if isinstance(route, DirectRoute)]
