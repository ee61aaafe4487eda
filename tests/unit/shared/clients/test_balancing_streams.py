"""Which instance gets a stream, and what becomes of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.transport import Request, Transport
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.fleet import GET, Fleet, Registry, endpoints
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport, answer


async def lines() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def test_stream_is_under_way_while_it_is_open() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a", "b")), fleet.connect)
    async with transport.stream(GET):
        for _ in range(4):
            async with transport.stream(GET):
                pass
        assert fleet.counts() == {"a": 1, "b": 4}
    for _ in range(2):
        async with transport.stream(GET):
            pass
    assert fleet.counts() == {"a": 2, "b": 5}


async def test_streams_are_no_reason_to_spare_an_instance_requests() -> None:
    """After a restart of one, all watchers hang on the other, for hours."""
    fleet = Fleet()
    registry = Registry(*endpoints("a"))
    transport = BalancingTransport(registry, fleet.connect)
    async with AsyncExitStack() as watches:
        for _ in range(20):
            await watches.enter_async_context(transport.stream(GET))
        registry.known = endpoints("a", "b")
        for _ in range(10):
            await transport.send(GET)
        assert fleet.counts() == {"a": 25, "b": 5}
        for _ in range(10):
            await watches.enter_async_context(transport.stream(GET))
        assert fleet.counts() == {"a": 25, "b": 15}


async def test_requests_are_no_reason_to_spare_an_instance_streams() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a", "b")), fleet.connect)
    await transport.send(GET)
    gate = fleet.transports["a"].gate = asyncio.Event()
    await transport.send(GET)
    stuck = asyncio.create_task(transport.send(GET))
    await asyncio.sleep(0)
    async with AsyncExitStack() as watches:
        gate.set()
        for _ in range(4):
            await watches.enter_async_context(transport.stream(GET))
        assert fleet.counts() == {"a": 4, "b": 3}
    await stuck


async def test_requests_and_streams_in_turn_both_go_round() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a", "b")), fleet.connect)
    for _ in range(4):
        await transport.send(Request("GET", b"/request"))
        async with transport.stream(Request("GET", b"/stream")):
            pass
    targets = {url: Counter(request.target for request in one.requests) for url, one in fleet.transports.items()}
    half = {b"/request": 2, b"/stream": 2}
    assert targets == {"a": half, "b": half}


async def test_stream_goes_to_the_next_instance_if_nothing_was_sent() -> None:
    fleet = Fleet(a=[ServiceUnavailable("refused")], b=[answer(200, b"0123456789abc")])
    registry = Registry(*endpoints("a", "b"))
    async with BalancingTransport(registry, fleet.connect).stream(GET, lines()) as response:
        assert b"".join([chunk async for chunk in response.chunks]) == b"0123456789abc"
        assert (fleet.transports["a"].open_streams, fleet.transports["b"].open_streams) == (0, 1)
    assert fleet.transports["b"].bodies == [b"onetwo"]
    assert registry.reports == [("a", False)]
    assert fleet.transports["b"].open_streams == 0


async def test_stream_goes_nowhere_else_once_its_body_was_begun() -> None:
    class Late(ScriptedTransport):
        def _is_away(self) -> bool:
            return False

    fleet = Fleet()

    def connect(url: str) -> Transport:
        fleet.transports[url] = Late([ServiceUnavailable("gone")])
        return fleet.transports[url]

    registry = Registry(*endpoints("a", "b"))
    with pytest.raises(ServiceUnavailable):
        async with BalancingTransport(registry, connect).stream(GET, lines()):
            raise AssertionError
    assert fleet.counts() == {"a": 1, "b": 0}


async def test_stream_without_any_reachable_instance() -> None:
    gone: list[Outcome] = [ServiceUnavailable("refused")]
    fleet = Fleet(a=gone, b=gone)
    with pytest.raises(ServiceUnavailable):
        async with BalancingTransport(Registry(*endpoints("a", "b")), fleet.connect).stream(GET, lines()):
            raise AssertionError
    assert fleet.counts() == {"a": 1, "b": 1}


@pytest.mark.parametrize("error", [UpstreamFailed("broke off"), UpstreamTimeout("late")])
async def test_stream_that_breaks_off_is_reported(error: Exception) -> None:
    fleet = Fleet(a=[answer(200, b"0123456789abc")])
    registry = Registry(Endpoint("a", healthy=False))
    transport = BalancingTransport(registry, fleet.connect)
    async with transport.stream(GET) as response:
        assert registry.reports == [("a", True)]
        assert await anext(response.chunks) == b"0123456789"
        fleet.transports["a"].breaks_off = error
        assert await anext(response.chunks) == b"abc"
        with pytest.raises(type(error)):
            await anext(response.chunks)
    assert registry.reports == [("a", True), ("a", False)]


@pytest.mark.parametrize("error", [ServiceUnavailable("x"), UpstreamFailed("x"), KeyError("x")])
async def test_error_of_the_body_or_of_the_reader_is_no_fault_of_the_instance(error: Exception) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise error

    async def use(body: AsyncIterator[bytes] | None) -> None:
        async with transport.stream(GET, body):
            raise error

    fleet = Fleet()
    registry = Registry(*endpoints("a", "b"))
    transport = BalancingTransport(registry, fleet.connect)
    for body in (broken(), None):
        with pytest.raises(type(error)) as raised:
            await use(body)
        assert raised.value is error
    assert registry.reports == []
    assert sum(fleet.counts().values()) == 1


async def test_instance_that_is_gone_is_closed_when_its_last_stream_ends() -> None:
    fleet = Fleet()
    registry = Registry(*endpoints("a"))
    transport = BalancingTransport(registry, fleet.connect)
    async with transport.stream(GET):
        registry.known = endpoints("b")
        await transport.send(GET)
        await asyncio.sleep(0)
        assert fleet.transports["a"].closed == 0
    await asyncio.sleep(0)
    assert fleet.transports["a"].closed == 1
