"""The middleware together, with the library's CORS among it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from sarvanom.shared.errors import ResourceNotFound
from sarvanom.web.middleware.body_limit import BodyLimitMiddleware
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.request_id import RequestIdMiddleware
from sarvanom.web.middleware.security_headers import SecurityHeadersMiddleware
from sarvanom.web.middleware.trusted_hosts import TrustedHostMiddleware
from sarvanom.web.problems import register_problem_handlers

ORIGIN = "https://console.example.org"
EXPOSED = ["ETag", "Location", "SarvanOM-Revision", "X-Request-ID", "Retry-After"]


def stack() -> ASGIApp:
    fastapi = FastAPI(openapi_url=None)
    register_problem_handlers(fastapi)

    @fastapi.put("/users/alice")
    async def replace_user(user: dict[str, str]) -> dict[str, str]:
        return user

    @fastapi.get("/users/bob")
    async def read_user() -> None:
        raise ResourceNotFound("There is no bob")

    app: ASGIApp = BodyLimitMiddleware(fastapi, 100)
    app = TrustedHostMiddleware(app, ["sarvanom.test"])
    app = ProblemMiddleware(app)
    # Outside of what makes the problems, or a browser could not read them.
    app = CORSMiddleware(app, allow_origins=[ORIGIN], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED)
    return RequestIdMiddleware(SecurityHeadersMiddleware(app))


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=stack())
    async with httpx2.AsyncClient(transport=transport, base_url="http://sarvanom.test") as client:
        yield client


async def test_a_preflight_is_answered(client: httpx2.AsyncClient) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
    answer = await client.options("/users/alice", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "if-match"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_may_read_our_headers(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/users/alice", headers={"Origin": ORIGIN}, json={"a": "b"})
    assert answer.status_code == 200
    assert answer.headers["access-control-expose-headers"] == ", ".join(EXPOSED)
    assert answer.headers["x-request-id"]


async def test_a_page_may_read_an_error(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/users/bob", headers={"Origin": ORIGIN, "X-Request-ID": "abc"})
    assert answer.status_code == 404
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_another_origin_may_read_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/users/bob", headers={"Origin": "https://evil.org"})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_host_that_is_not_ours_gets_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/users/bob", headers={"Host": "evil.org"})
    assert (answer.status_code, answer.json()["code"]) == (400, "untrusted_host")
    assert answer.headers["x-frame-options"] == "DENY"


async def test_fastapi_passes_on_that_a_chunked_body_was_too_large(client: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 50

    answer = await client.put("/users/alice", content=chunks(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.json()["detail"] == "The body may have at most 100 bytes"
