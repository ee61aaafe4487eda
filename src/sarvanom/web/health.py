"""Whether this process lives, whether what it depends on does, and which version it is."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.security.scopes import STORE_ADMIN
from sarvanom.shared.errors import Forbidden, RateLimited, SarvanOMError, ServiceUnavailable, Unauthorized
from sarvanom.shared.models.fields import Message
from sarvanom.web.authorization import require
from sarvanom.web.declared_answers import problem_answer
from sarvanom.web.middleware.observation import ROUTE

type Check = Callable[[], Awaitable[None]]

OPEN_PATHS: Final = ("/health", "/ready", "/version")
"""What anybody may ask, orchestrators and probes above all; it tells nothing of what is kept."""

_log = structlog.get_logger()


class Health(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class Version(BaseModel):
    """Which service this is."""

    service: Message
    version: Message


class DependencyCheck(BaseModel):
    """Whether one dependency answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Message
    ok: bool
    latency_ms: float
    error: Message | None = None
    """What went wrong; null if nothing did."""


class Readiness(BaseModel):
    """Whether the service can do its work now."""

    status: Literal["ready", "unavailable"]
    checks: Annotated[list[DependencyCheck], Field(max_length=100)]


class HealthReport(Version):
    """What an operator asks first."""

    status: Literal["ok", "degraded"]
    python: Message
    uptime_seconds: float
    checks: Annotated[list[DependencyCheck], Field(max_length=100)]


def register_health(
    app: FastAPI,
    *,
    service: str,
    version: str,
    checks: Mapping[str, Check],
    timeout: float = 2.0,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Add `/health`, `/ready`, `/health/detailed` and `/version`.

    A check returns if its dependency is well and raises if not; each has `timeout` seconds, and all run at once.
    """
    health = _Health(Version(service=service, version=version), checks, timeout, clock)
    _add(app, "/health", health.read_health, Health)
    _add(app, "/ready", health.read_ready, Readiness, {503: {"model": Readiness}})
    refused = (Unauthorized, Forbidden, ServiceUnavailable)
    refusals: dict[int | str, dict[str, Any]] = {error.status: problem_answer(error) for error in refused}
    _add(app, "/health/detailed", health.read_health_detailed, HealthReport, refusals)
    _add(app, "/version", health.read_version, Version)


def _add(
    app: FastAPI,
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    model: type[BaseModel],
    responses: Mapping[int | str, dict[str, Any]] | None = None,
) -> None:
    async def serve(request: Request) -> Response:
        request.scope[ROUTE] = path
        return await endpoint(request)

    # Starlette's route comes first and serves, HEAD as well as GET; FastAPI's declares the contract.
    app.router.add_route(path, serve, methods=["GET"])
    app.get(
        path,
        tags=["health"],
        operation_id=endpoint.__name__,
        response_model=model,
        responses={RateLimited.status: problem_answer(RateLimited), **(responses or {})},
    )(endpoint)


class _Health:
    def __init__(
        self,
        version: Version,
        checks: Mapping[str, Check],
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._version = version
        self._checks = dict(checks)
        self._timeout = timeout
        self._clock = clock
        self._began = clock()

    async def read_health(self, _: Request) -> Response:
        """Say that the process answers, without asking anything it depends on."""
        return _json(Health())

    async def read_version(self, _: Request) -> Response:
        """Name the service and its version."""
        return _json(self._version)

    async def read_ready(self, _: Request) -> Response:
        """Ask every dependency; 503 unless all of them are well."""
        checks = await self._check_all()
        if all(check.ok for check in checks):
            return _json(Readiness(status="ready", checks=checks))
        return _json(Readiness(status="unavailable", checks=checks), 503)

    async def read_health_detailed(self, request: Request) -> Response:
        """Report version, uptime and every dependency; 200 as long as the process lives."""
        require(request.scope, {STORE_ADMIN})
        checks = await self._check_all()
        report = HealthReport(
            status="ok" if all(check.ok for check in checks) else "degraded",
            service=self._version.service,
            version=self._version.version,
            python=platform.python_version(),
            uptime_seconds=round(self._clock() - self._began, 3),
            checks=checks,
        )
        return _json(report)

    async def _check_all(self) -> list[DependencyCheck]:
        return await asyncio.gather(*(self._check(name, check) for name, check in self._checks.items()))

    async def _check(self, name: str, check: Check) -> DependencyCheck:
        began = self._clock()
        error = await self._failure(name, check)
        milliseconds = round((self._clock() - began) * 1000, 3)
        return DependencyCheck(name=name, ok=error is None, latency_ms=milliseconds, error=error)

    async def _failure(self, name: str, check: Check) -> str | None:
        """Return what a stranger may know of why the check failed, or None if it passed."""
        try:
            async with asyncio.timeout(self._timeout):
                await check()
        except TimeoutError:
            return f"No answer within {self._timeout:g} s"
        except SarvanOMError as error:
            return error.detail
        except Exception as error:  # noqa: BLE001 (whatever it was, the dependency is not well)
            _log.warning("health check failed", check=name, exc_info=error)
            return "Failed; the log says why"
        return None


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")
