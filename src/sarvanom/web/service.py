"""A FastAPI application whose resource routes are served directly, and whose middleware is a list written once."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.models.crud_models import Problem
from sarvanom.shared.resources import RESOURCES
from sarvanom.shared.tls import FollowedContext
from sarvanom.web.health import OPEN_PATHS
from sarvanom.web.middleware.body_limit import LINE_ROUTES
from sarvanom.web.middleware.observation import ROUTE_OF
from sarvanom.web.oauth_routes import OAUTH_PATHS
from sarvanom.web.problems import register_problem_handlers
from sarvanom.web.routing import DirectDispatch, declared_routes, direct_routes, line_routes
from sarvanom.web.sending import STREAMS, EndlessStreams

type Middleware = Callable[[ASGIApp], ASGIApp]


_TAGS = [{"name": resource.collection, "description": inspect.getdoc(resource.model) or ""} for resource in RESOURCES]


_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `sk-…`, or an access token, as a bearer token (RFC 6750).",
    }
}
_LICENSE: Final = {"name": "MIT License", "identifier": "MIT"}


class Service(FastAPI):
    """A FastAPI application behind pure ASGI middleware, outermost first."""

    def __init__(
        self, *, edge: Sequence[Middleware], headers: Mapping[str, Any] | None = None, **declared: Any
    ) -> None:
        """Take the middleware, and the headers that OpenAPI is to say answers below 500 have."""
        super().__init__(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
            servers=[{"url": "/"}],
            license_info=_LICENSE,
            openapi_tags=[
                *_TAGS,
                {"name": "changes", "description": "What happened, in order; how to follow it, and to undo it."},
                {"name": "archive", "description": "Everything at once: how it is exported, and restored."},
                {"name": "auth", "description": "Access tokens: how they are got, given up and verified."},
                {"name": "health", "description": "Whether the service is alive, ready and which it is."},
            ],
            **declared,
        )
        self._edge = tuple(edge)
        self._headers = headers or {}
        self._line_routes: frozenset[tuple[str, str]] = frozenset()
        self._route_of: Callable[[str], str | None] = _find_nothing
        self.streams = EndlessStreams()
        self.certificates: list[FollowedContext] = []
        """Those that the application connects with; the server has them follow their files."""
        register_problem_handlers(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection.

        Requests go straight to the middleware: FastAPI would look through the environment for OpenTelemetry each time.
        """
        stack = self.middleware_stack
        if stack is None or scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        scope[STREAMS] = self.streams
        scope[LINE_ROUTES] = self._line_routes
        scope[ROUTE_OF] = self._route_of
        await stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application that serves requests; Starlette calls this once, before the first one."""
        routes = direct_routes(self)
        self._line_routes = line_routes(routes)
        dispatch = DirectDispatch(routes, super().build_middleware_stack())
        self._route_of = self._finder(dispatch)
        app: ASGIApp = dispatch
        for middleware in reversed(self._edge):
            app = middleware(app)
        return app

    def _finder(self, dispatch: DirectDispatch) -> Callable[[str], str | None]:
        """Return what finds the template of a path, without serving it."""
        fixed = {path for route in self.routes if "{" not in (path := getattr(route, "path", "{"))}
        return lambda path: path if path in fixed else dispatch.template_of(path)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with what operations share: how problems look, and how to prove who asks."""
        if self.openapi_schema is None:
            document = self.openapi_schema = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                tags=self.openapi_tags,
                servers=self.servers,
                license_info=self.license_info,
                routes=declared_routes(self.routes),
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas |= {**schema.pop("$defs"), "Problem": schema}
            document["components"] |= {"securitySchemes": _SCHEMES, "headers": dict(self._headers)}
            for path, operations in document["paths"].items():
                is_open = path in (*OPEN_PATHS, *OAUTH_PATHS)
                for operation in operations.values():
                    operation["security"] = [] if is_open else [{name: [] for name in _SCHEMES}]
                    self._declare_headers(operation["responses"])
        return self.openapi_schema

    def _declare_headers(self, answers: dict[str, Any]) -> None:
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in self._headers}
        for status, answer in answers.items():
            if references and int(status) < HTTPStatus.INTERNAL_SERVER_ERROR:
                answer["headers"] = answer.get("headers", {}) | references


def _find_nothing(_: str) -> str | None:
    return None
