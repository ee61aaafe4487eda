"""What logs, metrics and traces cost a request."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, override

import uvloop
from starlette.types import ASGIApp, Scope

from benchmarks.errors import MeasurementFailed
from benchmarks.parts.base import Bench, Part, collecting_as_services_do
from benchmarks.parts.edge import ANSWER_HEADERS, ANSWERED, BODY, SOMEBODY, answer_call, find_key, load, scope_of
from benchmarks.parts.limiter import WIDE
from benchmarks.results import ObservingCost
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.observability.access_lines import write_access_lines
from sarvanom.observability.logs import configure_logs
from sarvanom.observability.metrics import Metrics
from sarvanom.observability.sampling import TraceEntrance
from sarvanom.security.api_keys import make_key
from sarvanom.security.statements import HEADER, Statements
from sarvanom.services.gateway.api_keys import ApiKeys
from sarvanom.services.gateway.authentication import BearerAuthentication
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.services.gateway.relay import Relay
from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.retries import RetryingTransport
from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.web.calls import Perform
from sarvanom.web.edge import crud_edge, gateway_edge
from sarvanom.web.middleware.observation import ObservationMiddleware
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Middleware, Service

REQUESTS: Final = 250
TRIES: Final = 60
"""Many short ones: on a machine that does other things too, some of them are not disturbed."""
UNSAMPLED: Final = TraceEntrance(0.0, bytes(32), follows_callers=False)
FOLLOWING: Final = TraceEntrance(0.0, bytes(32), follows_callers=True)
CALLER: Final = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")


class Observing(Part):
    """The real routes and middleware of both services over an answer that costs nothing, observed and not.

    Everything is a line to a file, all metrics, and a trace that is not recorded; traces are those alone.
    """

    name = "observing"

    @override
    def measure(self, bench: Bench) -> None:
        with bench.steps.step(self.name, "logs, metrics and traces"), collecting_as_services_do():
            for _ in range(bench.rounds):
                bench.results.observing += uvloop.run(_measure())


async def _measure() -> list[ObservingCost]:
    statements = Statements(os.urandom(32))
    key = make_key().text
    limits = MemoryLimits()
    await limits.open()
    hop = RetryingTransport(BalancingTransport(_OneInstance(), lambda _: _Constant()))
    relay = Relay(hop, statements, Recognition("benchmark", Path()))
    gateway = [_gateway(key, limits, relay, entrance) for entrance in (None, UNSAMPLED)]
    crud = [_crud(statements, entrance) for entrance in (None, FOLLOWING)]
    costs = []
    with tempfile.TemporaryFile() as file:
        for case, method, path, body in (("get", "GET", "/users/ada", b""), ("create", "POST", "/users", BODY)):
            asked = partial(scope_of, method, path, body, (b"authorization", b"Bearer " + key.encode()))
            handed_on = partial(_handed_on, statements, method, path, body)
            at = {
                "gateway": [partial(_load_alone, app, asked, body) for app in gateway],
                "crud": [partial(_load_alone, app, handed_on, body) for app in crud],
            }
            measured: dict[tuple[str, str], float] = {}
            for service, (bare, traced) in at.items():
                off, traces, everything = [], [], []
                for _ in range(TRIES):
                    off.append(await bare())
                    traces.append(await traced())
                    with _listening(service, file):
                        everything.append(await traced())
                measured["traces", service] = min(traces) - min(off)
                measured["everything", service] = min(everything) - min(off)
            costs += [
                ObservingCost(what, case, measured[what, "gateway"], measured[what, "crud"])
                for what in ("everything", "traces")
            ]
    await hop.aclose()
    await limits.aclose()
    return costs


def _handed_on(statements: Statements, method: str, path: str, body: bytes) -> Scope:
    """Return what crud is asked; the statement is believed for a few seconds."""
    scope = scope_of(method, path, body, (HEADER, b""))
    *before, _ = scope["headers"]
    stated = statements.sign(SOMEBODY, method, path.encode(), before, body)
    scope["headers"] = [*before, (HEADER, stated), CALLER]
    return scope


async def _load_alone(app: ASGIApp, scope: Callable[[], Scope], body: bytes) -> float:
    """Measure in a context of its own, in which no trace is left from what was measured before."""
    return await asyncio.create_task(load(app, scope(), body, REQUESTS), context=Context())


@contextmanager
def _listening(service: str, file: BinaryIO) -> Iterator[None]:
    with ExitStack() as stack:
        metrics = Metrics(service)
        metrics.listen()
        stack.callback(metrics.stop)
        write = configure_logs("info", "json", file, service=service)
        stack.callback(write_access_lines(write, service=service, share=1.0))
        yield


def _gateway(key: str, limits: MemoryLimits, relay: Relay, entrance: TraceEntrance | None) -> ASGIApp:
    edge = gateway_edge(
        BearerAuthentication(ApiKeys(partial(find_key, key), lease=3600), lease=3600),
        trusted_hosts=["127.0.0.1"],
        cors_origins=[],
        max_body_bytes=2**20,
        limits=limits,
        limit_policy=WIDE,
        observation=partial(ObservationMiddleware, entrance=entrance),
    )
    return _service(edge, relay)


def _crud(statements: Statements, entrance: TraceEntrance | None) -> ASGIApp:
    return _service(crud_edge(statements, observation=partial(ObservationMiddleware, entrance=entrance)), answer_call)


def _service(edge: Sequence[Middleware], perform: Perform[Any]) -> ASGIApp:
    app = Service(title="benchmark", version="0", edge=edge)
    add_resource_routes(app, perform)
    return app


class _OneInstance(ServiceDiscoveryContract):
    _endpoints = (Endpoint("http://127.0.0.1:8001"),)

    @override
    async def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    @override
    def latest(self) -> Sequence[Endpoint]:
        return self._endpoints

    @override
    def report(self, endpoint: Endpoint, *, healthy: bool) -> None:
        return

    @override
    async def aclose(self) -> None:
        return


class _Constant(Transport):
    @override
    async def send(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(200, ANSWER_HEADERS, ANSWERED)

    @override
    def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        raise MeasurementFailed("observing: nothing is streamed")

    @override
    async def aclose(self) -> None:
        return
