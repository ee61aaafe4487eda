"""What the limits of the gateway cost a request, counted in memory and in Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, override

import uvloop
from starlette.types import Message, Receive, Scope, Send
from valkey.asyncio import Valkey

from benchmarks.parts.base import Bench, Part
from benchmarks.processes import Tree
from benchmarks.results import LimiterCost
from sarvanom.backends.limits.contract import LimitStore
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.backends.limits.valkey.connection import ValkeyScripts
from sarvanom.backends.limits.valkey.scripts import ROOT
from sarvanom.backends.limits.valkey.shared import SharedLimits
from sarvanom.security.limits import LimitPolicy
from sarvanom.security.principals import Principal
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.middleware.limits import LimitMiddleware
from tests.harness.valkey import ValkeyServer, running_valkey

WIDE: Final = LimitPolicy(*([10**9] * 9))
REQUESTS: Final = 4000
UPSTREAM_SECONDS: Final = 0.0005
AT_ONCE: Final = (1, 8, 32)
START: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"etag", b'"1"')],
}
HEADERS: Final = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"benchmark"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"authorization", b"Bearer sk-0123456789abcdef0123456789abcdef"),
]
BODY: Final = [(b"content-type", b"application/json"), (b"content-length", b"500")]


class Limiter(Part):
    """The middleware over an application that answers after as long as crud takes, in this process and alone."""

    name = "limiter"

    @override
    def measure(self, bench: Bench) -> None:
        with bench.steps.step(self.name, "limits in memory and in Valkey"), running_valkey() as server:
            for _ in range(bench.rounds):
                bench.results.limiter += uvloop.run(_measure(server))


async def _measure(server: ValkeyServer) -> list[LimiterCost]:
    assert server.process is not None
    process = Tree("valkey", server.process.pid)
    costs = []
    for case, scope in (("get", _scope("GET")), ("create", _scope("POST", BODY))):
        async with _opened(MemoryLimits()) as store:
            cost = await _added(LimitMiddleware(_answer, store, WIDE), scope, 1, None)
            costs.append(LimiterCost("memory", case, 1, *cost))
        for at_once in AT_ONCE:
            async with _opened(SharedLimits(ValkeyScripts(server.url))) as store:
                cost = await _added(LimitMiddleware(_answer, store, WIDE), scope, at_once, process)
                costs.append(LimiterCost("valkey", case, at_once, *cost))
    async with Valkey.from_url(server.url) as client:
        for at_once in AT_ONCE:
            cost = await _added(_CallEach(client), _scope("GET"), at_once, process)
            costs.append(LimiterCost("a call each", "get", at_once, *cost))
    return costs


@asynccontextmanager
async def _opened(store: LimitStore) -> AsyncIterator[LimitStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


async def _added(app: Any, scope: Scope, at_once: int, server: Tree | None) -> tuple[float, float]:
    """Return what a request costs more than without, in CPU microseconds, and what it costs the server."""
    await _load(app, scope, at_once)
    before = server.cpu_us() if server else 0.0
    cost = await _load(app, scope, at_once)
    at_server = (server.cpu_us() - before) / REQUESTS if server else 0.0
    return cost - await _load(_answer, scope, at_once), at_server


async def _load(app: Any, scope: Scope, at_once: int) -> float:
    async def ask() -> None:
        for _ in range(REQUESTS // at_once):
            await app(dict(scope), _receive, _send)

    began = time.process_time()
    await asyncio.gather(*(ask() for _ in range(at_once)))
    return (time.process_time() - began) * 1e6 / REQUESTS


class _CallEach:
    """What it would cost to ask about each request alone, through the driver's client: a script of one command."""

    def __init__(self, client: Valkey) -> None:
        self._script = client.register_script("return redis.call('INCR', KEYS[1])")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._script([f"{ROOT}:benchmark"])
        await _answer(scope, receive, send)


async def _answer(_: Scope, __: Receive, send: Send) -> None:
    await asyncio.sleep(UPSTREAM_SECONDS)
    await send(START)
    await send({"type": "http.response.body", "body": b"{}"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b""}


async def _send(_: Message) -> None:
    return


def _scope(method: str, headers: list[tuple[bytes, bytes]] | None = None) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": "/users/ada",
        "headers": HEADERS + (headers or []),
        "client": ("192.0.2.7", 50000),
        PRINCIPAL: Principal("key:0123456789abcdef"),
    }
