"""The documentation page: complete without the internet, and strict."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from sarvanom.web import docs
from sarvanom.web.docs import register_docs
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.middleware.security_headers import SecurityHeadersMiddleware
from tests.unit.web.asgi import ask, http_scope


def make_app() -> FastAPI:
    app = FastAPI(title="Sarvan <OM>", openapi_url=None)
    register_docs(app)

    @app.get("/users", operation_id="list_users")
    async def list_users() -> None: ...

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=SecurityHeadersMiddleware(make_app()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_all_that_the_page_loads_is_served_here(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        answer = await client.get(f"/{link}")
        assert answer.status_code == 200, link
        assert len(answer.content) > 100


async def test_the_page_has_nothing_inline_and_a_policy_that_forbids_it(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert not re.search(r"<style|<script>| style=| on\w+=", page.text)
    assert "<title>Sarvan &lt;OM&gt;</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert len(page.headers.get_list("content-security-policy")) == 1


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("init.js", "text/javascript; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
    ],
)
async def test_assets_have_the_right_type(client: httpx2.AsyncClient, name: str, media_type: str) -> None:
    answer = await client.get(f"/docs/assets/{name}")
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize("name", ["__init__.py", "../main.py", "%2e%2e/main.py", "swagger-ui.css/", ""])
async def test_nothing_else_of_the_package_is_served(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(f"/docs/assets/{name}")
    assert answer.status_code in {307, 404}


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/assets/swagger-ui.css"])
async def test_a_browser_that_has_it_gets_no_second_copy(client: httpx2.AsyncClient, path: str) -> None:
    first = await client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await client.get(path, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/assets/init.js"])
async def test_head_works_and_access_lines_learn_the_path(path: str) -> None:
    answer = await ask(make_app(), http_scope("HEAD", path))
    assert answer.status == 200
    assert answer.scope[ROUTE] == path


async def test_openapi_has_what_was_declared_later_and_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    document = (await ask(app, http_scope(path="/openapi.json"))).json
    assert document["openapi"].startswith("3.1")
    assert list(document["paths"]) == ["/users"]

    monkeypatch.setattr(app, "openapi", None)
    assert (await ask(app, http_scope(path="/openapi.json"))).json == document


def test_fastapi_must_not_serve_the_document_as_well() -> None:
    with pytest.raises(ValueError, match="openapi_url=None"):
        register_docs(FastAPI())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match="fastapi-swagger"):
        docs._asset.__wrapped__("swagger-ui.css")
