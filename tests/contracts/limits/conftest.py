"""The stores of limits: each test of this folder runs over both, on a clock of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.backends.limits.valkey.connection import ValkeyScripts
from sarvanom.backends.limits.valkey.shared import SharedLimits
from tests.contracts.limits.clock import Clock
from tests.harness.valkey import ValkeyServer


@asynccontextmanager
async def shared_limits(url: str, clock: Clock | None = None) -> AsyncIterator[SharedLimits]:
    """A gateway's limits over Valkey."""
    store = (
        SharedLimits(ValkeyScripts(url), clock=clock, server_clock=clock) if clock else SharedLimits(ValkeyScripts(url))
    )
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[LimitStore]:
    if request.param == "memory":
        yield MemoryLimits(clock)
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    async with shared_limits(server.url, clock) as store:
        yield store
        assert store.is_shared, "Valkey decided"
        assert store.counts.decided_alone == 0


@pytest.fixture
async def gateways(valkey: ValkeyServer, clock: Clock) -> AsyncIterator[list[SharedLimits]]:
    """The limits of three gateways over one Valkey."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(shared_limits(valkey.url, clock)) for _ in range(3)]


@pytest.fixture
def caller() -> str:
    """A caller whom no other test knows."""
    return f"t-{uuid4().hex}"
