"""Whether this process lives, whether what it depends on does, and which version it is."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.security.principals import AUTHENTICATE
from sarvanom.security.scopes import STORE_ADMIN
from sarvanom.shared.errors import Forbidden, RateLimited, ServiceUnavailable, Unauthorized
from sarvanom.web.authorization import principal_of, require
from sarvanom.web.declared_answers import problem_answers
from sarvanom.web.health_models import (
    DatabaseReport,
    DependencyCheck,
    Health,
    HealthReport,
    InstanceReport,
    PoolReport,
    Readiness,
    Version,
)
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.shared_looks import Look, SharedLook

OPEN_PATHS: Final = ("/health", "/ready", "/version")
"""What anybody may ask, orchestrators and probes above all; it tells nothing of what is kept."""
DETAILED_PATH: Final = "/health/detailed"
_OPTIONAL_SECONDS: Final = 0.5
"""How long `/ready` waits for what it does not depend on."""


@dataclass(frozen=True, slots=True)
class Dependency[T]:
    """What a service depends on, and whether it is not ready without it."""

    shared: SharedLook[T]
    is_required: bool = True

    async def check(self, within: float | None = None) -> DependencyCheck:
        """Return how it is, or that it has not answered after `within` seconds."""
        return DependencyCheck(**self.describe(await self.shared.look(within)))

    def describe(self, look: Look[T]) -> dict[str, Any]:
        """Return the fields of a check."""
        last = self.shared.last_failure
        return {
            "name": self.shared.name,
            "ok": look.error is None,
            "latency_ms": round(look.seconds * 1000, 3),
            "error": look.error,
            "required": self.is_required,
            "last_error": None if last is None else last.error,
            "last_error_at": None if last is None else last.at,
        }


@dataclass(frozen=True, slots=True)
class Details:
    """What a service tells administrators beside its dependencies."""

    worker: int = 0
    workers: int = 1
    database: DatabaseReport | None = None
    pools: Sequence[PoolReport] = ()
    instances: Sequence[InstanceReport] = ()


async def _no_checks(_: float | None) -> list[DependencyCheck]:
    return []


async def _no_details() -> Details:
    return Details()


@dataclass(frozen=True, slots=True)
class HealthSources:
    """Where a service learns how it is.

    `optional` returns checks of what comes and goes, and is not required, within so many seconds. `details` may look at
    the same dependencies: they are looked at once.
    """

    dependencies: Sequence[Dependency[Any]] = ()
    optional: Callable[[float | None], Awaitable[list[DependencyCheck]]] = _no_checks
    details: Callable[[], Awaitable[Details]] = field(default=_no_details)


def register_health(
    app: FastAPI,
    *,
    service: str,
    version: str,
    sources: HealthSources,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Add `/health`, `/ready`, `/health/detailed` and `/version`."""
    health = _Health(Version(service=service, version=version), sources, clock)
    _add(app, "/health", health.read_health, Health)
    _add(app, "/ready", health.read_ready, Readiness, {503: {"model": Readiness}})
    refused = (Unauthorized, Forbidden, ServiceUnavailable)
    refusals = problem_answers(refused)
    _add(app, DETAILED_PATH, health.read_health_detailed, HealthReport, refusals)
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
        responses={**problem_answers([RateLimited]), **(responses or {})},
    )(endpoint)


class _Health:
    def __init__(self, version: Version, sources: HealthSources, clock: Callable[[], float]) -> None:
        self._version = version
        self._sources = sources
        self._clock = clock
        self._began = clock()

    async def read_health(self, _: Request) -> Response:
        """Say that the process answers, without asking anything it depends on."""
        return _json(Health())

    async def read_version(self, _: Request) -> Response:
        """Name the service and its version."""
        return _json(self._version)

    async def read_ready(self, _: Request) -> Response:
        """Ask every dependency; 503 unless all that are required are well."""
        checks = await self._check_all(_OPTIONAL_SECONDS)
        if all(check.ok for check in checks if check.required):
            return _json(Readiness(status="ready", checks=checks))
        return _json(Readiness(status="unavailable", checks=checks), 503)

    async def read_health_detailed(self, request: Request) -> Response:
        """Report version, uptime, revision, migrations, pools and dependencies; 200 as long as the process lives."""
        if not principal_of(request.scope).may(AUTHENTICATE):  # a gateway asks for the report of its own
            require(request.scope, {STORE_ADMIN})
        checks, details = await asyncio.gather(self._check_all(None), self._sources.details())
        report = HealthReport(
            status="ok" if all(check.ok for check in checks) else "degraded",
            service=self._version.service,
            version=self._version.version,
            python=platform.python_version(),
            uptime_seconds=round(self._clock() - self._began, 3),
            checks=checks,
            time=datetime.now(UTC),
            worker=details.worker,
            workers=details.workers,
            database=details.database,
            pools=list(details.pools),
            instances=list(details.instances),
        )
        return _json(report)

    async def _check_all(self, seconds: float | None) -> list[DependencyCheck]:
        """Look at all at once; for what is not required so many seconds are enough, None for as long as it takes."""
        asked = (one.check(None if one.is_required else seconds) for one in self._sources.dependencies)
        checks, others = await asyncio.gather(asyncio.gather(*asked), self._sources.optional(seconds))
        return [*checks, *others]


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")
