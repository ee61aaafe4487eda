"""What is told of each request to an instance: once, whatever comes of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import PayloadTooLarge, ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.observations import UpstreamAttempted, listen
from tests.unit.shared.clients.fleet import Fleet, Registry, endpoints
from tests.unit.shared.clients.scripted_transport import Outcome

GET = Request("GET", b"/")
POST = Request("POST", b"/")


@pytest.fixture
def told() -> Iterator[list[UpstreamAttempted]]:
    found: list[UpstreamAttempted] = []
    end = listen(UpstreamAttempted, found.append)
    yield found
    end()


def balancing(fleet: Fleet, *urls: str) -> BalancingTransport:
    return BalancingTransport(Registry(*endpoints(*urls)), fleet.connect)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (204, (204, "2xx")),
        (404, (404, "4xx")),
        (ServiceUnavailable("x"), (0, "unavailable")),
        (UpstreamTimeout("x"), (0, "timeout")),
        (UpstreamFailed("x"), (0, "failed")),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_each_is_told_with_what_came_of_it(
    told: list[UpstreamAttempted], outcome: Outcome, said: tuple[int, str], is_stream: bool
) -> None:
    transport = balancing(Fleet(a=[outcome]), "a")
    with suppress(ServiceUnavailable, UpstreamFailed, UpstreamTimeout):
        if is_stream:
            async with transport.stream(GET):
                pass
        else:
            await transport.send(GET)
    assert [(one.instance, one.method, one.status, one.outcome) for one in told] == [("a", "GET", *said)]
    assert told[0].seconds >= 0


@pytest.mark.parametrize("is_stream", [False, True])
async def test_one_that_is_given_up_is_told_too(told: list[UpstreamAttempted], is_stream: bool) -> None:
    fleet = Fleet(a=[200])
    transport = balancing(fleet, "a")
    await transport.send(GET)
    told.clear()
    fleet.transports["a"].gate = asyncio.Event()

    async def open_stream() -> None:
        async with transport.stream(GET):
            pass

    asking = asyncio.create_task(open_stream()) if is_stream else asyncio.create_task(transport.send(GET))
    while len(fleet.transports["a"].requests) < 2:  # noqa: ASYNC110 (the played transport sets no event)
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [(one.status, one.outcome) for one in told] == [(0, "cancelled")]


@pytest.mark.parametrize("error", [ServiceUnavailable("x"), PayloadTooLarge("x"), KeyError("x")])
async def test_a_body_that_does_not_come_is_not_told_as_the_instances_failure(
    told: list[UpstreamAttempted], error: Exception
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"part"
        raise error

    with pytest.raises(type(error)):
        async with balancing(Fleet(a=[200]), "a").stream(POST, body()):
            pass
    assert [one.outcome for one in told] == ["cancelled"]
