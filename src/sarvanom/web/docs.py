"""Swagger UI and the OpenAPI document, without a word to the internet and under a strict content security policy."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.web.middleware.observation import ROUTE

OPENAPI_PATH: Final = "/openapi.json"

# Every URL is relative, so that the page also works behind a proxy that serves it below a prefix.
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<noscript>This page needs JavaScript; the document it shows is <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/init.js"></script>
</body>
</html>
"""
_INIT: Final = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MEDIA_TYPES: Final = {
    "init.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


DOCUMENT_PATHS: Final = ("/docs", OPENAPI_PATH, *(f"/docs/assets/{name}" for name in _MEDIA_TYPES))
"""Where the documents are, which anybody may read: they say how to prove who one is."""


def register_docs(app: FastAPI) -> None:
    """Add `/docs` and `/openapi.json` to an app that was made with `openapi_url=None`."""
    if app.openapi_url is not None:
        raise ValueError("FastAPI would serve the document itself: make the app with openapi_url=None")
    page = _PAGE.format(title=escape(app.title)).encode()

    @cache
    def document() -> bytes:
        return orjson.dumps(app.openapi())

    async def read_docs(request: Request) -> Response:
        return _answer(request, page, "text/html", {"Content-Security-Policy": _POLICY})

    async def read_openapi(request: Request) -> Response:
        return _answer(request, document(), "application/json")

    endpoints = {"/docs": read_docs, OPENAPI_PATH: read_openapi}
    endpoints |= {f"/docs/assets/{name}": _read_asset for name in _MEDIA_TYPES}
    for path, endpoint in endpoints.items():
        app.router.add_route(path, endpoint, include_in_schema=False)


async def _read_asset(request: Request) -> Response:
    name = request.scope["path"].rpartition("/")[2]
    return _answer(request, _asset(name), _MEDIA_TYPES[name])


@cache
def _asset(name: str) -> bytes:
    """Return a file of Swagger UI, or our own that starts it."""
    if name == "init.js":
        return _INIT
    # Found without being imported: the package wants to patch applications, and we want its files.
    package = find_spec("fastapi_swagger")
    if package is None or package.origin is None:
        raise RuntimeError("The package fastapi-swagger, which holds Swagger UI, is not installed")
    return (Path(package.origin).parent / "resources" / name).read_bytes()


def _answer(request: Request, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the body, or with 304 if the browser has it; `no-cache` makes browsers ask, so no copy is stale."""
    request.scope[ROUTE] = request.scope["path"]
    etag = f'"{_digest(body)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", **(headers or {})}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


@cache
def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:32]
