"""Health, readiness and version, and what OpenAPI says of them."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from time import perf_counter
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from sarvanom.security.principals import ANONYMOUS, GATEWAY, Principal
from sarvanom.security.scopes import SCOPES, STORE_ADMIN
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.web.health import Dependency, HealthSources, register_health
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.problems import register_problem_handlers
from sarvanom.web.shared_looks import SharedLook
from tests.unit.web.asgi import Known, ask, http_scope

type Check = Callable[[], Awaitable[None]]


async def pass_check() -> None: ...


async def fail_deliberately() -> None:
    raise ServiceUnavailable("The database is away")


async def fail() -> None:
    raise ValueError("postgresql://user:hunter2@db")


async def hang() -> None:
    await asyncio.Event().wait()


def make_app(
    checks: Mapping[str, Check],
    *,
    timeout: float = 2.0,
    optional: Collection[str] = (),
    clock: Callable[[], float] = perf_counter,
) -> FastAPI:
    app = FastAPI(openapi_url=None)
    register_problem_handlers(app)
    looks = [SharedLook(name, check, timeout=timeout, clock=clock) for name, check in checks.items()]
    sources = HealthSources([Dependency(look, look.name not in optional) for look in looks])
    register_health(app, service="crud", version="1.2.3", sources=sources, clock=clock)
    return app


def client_of(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


async def get(path: str, checks: Mapping[str, Check], **more: Any) -> httpx2.Response:
    async with client_of(Known(make_app(checks, **more))) as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("path", "body"), [("/health", {"status": "ok"}), ("/version", {"service": "crud", "version": "1.2.3"})]
)
async def test_liveness_and_version_ask_no_dependency(path: str, body: dict[str, str]) -> None:
    answer = await get(path, {"database": hang})
    assert (answer.status_code, answer.json()) == (200, body)


async def test_without_dependencies_a_service_is_ready() -> None:
    answer = await get("/ready", {})
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": []})


async def test_a_service_is_ready_when_all_it_needs_is_well() -> None:
    answer = await get("/ready", {"database": pass_check, "cache": pass_check}, clock=count().__next__)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert [one["name"] for one in answer.json()["checks"]] == ["database", "cache"]
    assert all(one["ok"] and one["error"] is None and one["latency_ms"] == 2000 for one in answer.json()["checks"])


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (fail_deliberately, "The database is away"),
        (fail, "Failed; the log says why"),
        (hang, "No answer within 0.01 s"),
    ],
)
async def test_one_dependency_that_fails_makes_it_unavailable(check: Check, error: str) -> None:
    with capture_logs() as lines:
        answer = await get("/ready", {"database": check, "cache": pass_check}, timeout=0.01)
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert [(one["ok"], one["error"]) for one in answer.json()["checks"]] == [(False, error), (True, None)]
    assert [line["check"] for line in lines] == (["database"] if check is fail else [])


async def test_what_is_not_required_keeps_no_service_from_being_ready() -> None:
    checks = {"crud": pass_check, "valkey": fail_deliberately}
    async with client_of(Known(make_app(checks, optional=["valkey"]))) as client:
        ready = await client.get("/ready")
        detailed = await client.get("/health/detailed")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert [(one["ok"], one["required"]) for one in ready.json()["checks"]] == [(True, True), (False, False)]
    assert detailed.json()["status"] == "degraded"


async def test_what_is_not_required_is_not_waited_for() -> None:
    checks = {"crud": pass_check, "valkey": hang}
    async with asyncio.timeout(5):
        ready = await get("/ready", checks, optional=["valkey"], timeout=60)
    assert ready.status_code == 200
    assert ready.json()["checks"][1]["error"] == "No answer within 0.5 s"


async def test_the_last_error_is_told_of_what_is_well_again() -> None:
    failing = True

    async def check() -> None:
        if failing:
            raise ServiceUnavailable("The database is away")

    async with client_of(make_app({"database": check})) as client:
        assert (await client.get("/ready")).status_code == 503
        failing = False
        [told] = (await client.get("/ready")).json()["checks"]
    assert (told["ok"], told["error"], told["last_error"]) == (True, None, "The database is away")
    assert datetime.now(UTC) - datetime.fromisoformat(told["last_error_at"]) < timedelta(seconds=10)


async def test_a_gateway_may_read_the_report_in_its_own_name() -> None:
    async with client_of(Known(make_app({}), GATEWAY)) as client:
        assert (await client.get("/health/detailed")).status_code == 200


async def test_checks_run_at_once() -> None:
    barrier = asyncio.Barrier(2)

    async def meet() -> None:
        await barrier.wait()

    answer = await get("/ready", {"a": meet, "b": meet})
    assert answer.status_code == 200


@pytest.mark.parametrize(("check", "status"), [(pass_check, "ok"), (fail_deliberately, "degraded")])
async def test_the_detailed_report_is_given_as_long_as_the_process_lives(check: Check, status: str) -> None:
    answer = await get("/health/detailed", {"database": check}, clock=count(step=2).__next__)
    assert answer.status_code == 200
    report = answer.json()
    assert report.pop("checks")[0]["latency_ms"] == 2000
    assert abs(datetime.fromisoformat(report.pop("time")) - datetime.now(UTC)) < timedelta(seconds=10)
    nothing: dict[str, Any] = {"worker": 0, "workers": 1, "database": None, "pools": [], "instances": []}
    assert report == nothing | {
        "service": "crud",
        "version": "1.2.3",
        "status": status,
        "python": platform.python_version(),
        "uptime_seconds": 6,
    }


@pytest.mark.parametrize("path", ["/health", "/ready", "/health/detailed", "/version"])
async def test_head_works_and_nothing_else_does(path: str) -> None:
    async with client_of(Known(make_app({}))) as client:
        assert (await client.head(path)).status_code == 200
        refused = await client.post(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_the_detailed_report_is_for_administrators_of_the_store() -> None:
    for principal in (ANONYMOUS, Principal("key:a", SCOPES - {STORE_ADMIN})):
        async with client_of(Known(make_app({}), principal)) as client:
            refused = await client.get("/health/detailed")
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
            assert (await client.get("/ready")).status_code == 200


async def test_access_lines_learn_the_path() -> None:
    answer = await ask(make_app({}), http_scope(path="/ready"))
    assert answer.scope[ROUTE] == "/ready"


def test_openapi_declares_the_answers() -> None:
    paths = make_app({}).openapi()["paths"]
    assert [(path, *methods) for path, methods in paths.items()] == [
        ("/health", "get"), ("/ready", "get"), ("/health/detailed", "get"), ("/version", "get"),
    ]  # fmt: skip
    assert [path["get"]["operationId"] for path in paths.values()] == [
        "read_health", "read_ready", "read_health_detailed", "read_version",
    ]  # fmt: skip
    for status in ("200", "503"):
        schema = paths["/ready"]["get"]["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Readiness"}
