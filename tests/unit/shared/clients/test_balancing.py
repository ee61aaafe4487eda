"""Which instance gets a request."""

import asyncio
from collections import Counter

import pytest

from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.discovery import WeightedEndpoint
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.observations import UpstreamState, observed
from tests.unit.shared.clients.fleet import GET, Fleet, Registry, endpoints
from tests.unit.shared.clients.scripted_transport import Outcome


async def test_one_instance_gets_everything() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a")), fleet.connect)
    for _ in range(3):
        assert (await transport.send(GET)).status == 200
    assert fleet.counts() == {"a": 3}


async def test_requests_one_after_the_other_go_round() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a", "b", "c")), fleet.connect)
    for _ in range(9):
        await transport.send(GET)
    assert fleet.counts() == {"a": 3, "b": 3, "c": 3}


async def test_least_busy_instance_is_chosen() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(*endpoints("a", "b")), fleet.connect)
    await transport.send(GET)
    gate = fleet.transports["a"].gate = asyncio.Event()
    stuck = [asyncio.create_task(transport.send(GET)) for _ in range(2)]
    await asyncio.sleep(0)
    for _ in range(5):
        await transport.send(GET)
    gate.set()
    await asyncio.gather(*stuck)
    assert fleet.counts()["a"] <= 3
    assert fleet.counts()["b"] >= 5


async def test_weights_are_honoured_when_idle_and_when_busy() -> None:
    fleet = Fleet()
    registry = Registry(WeightedEndpoint("a", weight=3), WeightedEndpoint("b", weight=1))
    transport = BalancingTransport(registry, fleet.connect)
    for _ in range(8):
        await transport.send(GET)
    assert fleet.counts() == {"a": 6, "b": 2}
    gate = asyncio.Event()
    for one in fleet.transports.values():
        one.gate = gate
    tasks = [asyncio.create_task(transport.send(GET)) for _ in range(8)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert fleet.counts() == {"a": 12, "b": 4}


async def test_weight_that_changes_is_followed() -> None:
    fleet = Fleet()
    registry = Registry(WeightedEndpoint("a", weight=1), WeightedEndpoint("b", weight=1))
    transport = BalancingTransport(registry, fleet.connect)
    await transport.send(GET)
    await transport.send(GET)
    registry.known = [WeightedEndpoint("a", weight=1), WeightedEndpoint("b", weight=3)]
    for _ in range(8):
        await transport.send(GET)
    assert fleet.counts() == {"a": 3, "b": 7}


async def test_unhealthy_instance_is_left_out() -> None:
    fleet = Fleet()
    transport = BalancingTransport(Registry(Endpoint("a", healthy=False), Endpoint("b")), fleet.connect)
    for _ in range(4):
        await transport.send(GET)
    assert fleet.counts() == {"a": 0, "b": 4}


async def test_all_unhealthy_are_tried_rather_than_none() -> None:
    fleet = Fleet()
    registry = Registry(Endpoint("a", healthy=False), Endpoint("b", healthy=False))
    transport = BalancingTransport(registry, fleet.connect)
    assert (await transport.send(GET)).status == 200
    assert registry.reports == [("a", True)]


async def test_unreachable_instance_is_reported_and_the_next_one_tried() -> None:
    fleet = Fleet(a=[ServiceUnavailable("refused")])
    registry = Registry(*endpoints("a", "b"))
    transport = BalancingTransport(registry, fleet.connect)
    for _ in range(4):
        assert (await transport.send(Request("POST", b"/"))).status == 200
    assert registry.reports == [("a", False)]
    assert fleet.counts() == {"a": 1, "b": 4}


async def test_healthy_instance_is_tried_before_the_others() -> None:
    gone: list[Outcome] = [ServiceUnavailable("refused")]
    fleet = Fleet(a=gone)
    registry = Registry(Endpoint("a"), Endpoint("b", healthy=False), Endpoint("c"))
    await BalancingTransport(registry, fleet.connect).send(GET)
    assert fleet.counts() == {"a": 1, "b": 0, "c": 1}


async def test_when_none_can_be_reached_each_is_tried_once() -> None:
    gone: list[Outcome] = [ServiceUnavailable("refused")]
    fleet = Fleet(a=gone, b=gone, c=gone)
    transport = BalancingTransport(Registry(*endpoints("a", "b", "c")), fleet.connect)
    with pytest.raises(ServiceUnavailable):
        await transport.send(GET)
    assert fleet.counts() == {"a": 1, "b": 1, "c": 1}


async def test_instance_that_appears_after_a_failure_is_tried() -> None:
    fleet = Fleet(a=[ServiceUnavailable("refused")])
    registry = Registry(*endpoints("a"))
    transport = BalancingTransport(registry, fleet.connect)

    class Failover(Registry):
        def report(self, endpoint: Endpoint, *, healthy: bool) -> None:
            self.known = endpoints("backup")

    transport = BalancingTransport(Failover(*endpoints("a")), fleet.connect)
    assert (await transport.send(GET)).status == 200
    assert fleet.counts() == {"a": 1, "backup": 1}


@pytest.mark.parametrize("error", [UpstreamFailed("broke off"), UpstreamTimeout("late")])
async def test_request_of_unknown_fate_goes_to_no_other_instance(error: Exception) -> None:
    fleet = Fleet(a=[error])
    registry = Registry(*endpoints("a", "b"))
    with pytest.raises(type(error)):
        await BalancingTransport(registry, fleet.connect).send(GET)
    assert registry.reports == [("a", False)]
    assert fleet.counts() == {"a": 1, "b": 0}


async def test_no_instance_at_all() -> None:
    with pytest.raises(ServiceUnavailable):
        await BalancingTransport(Registry(), Fleet().connect).send(GET)


async def test_instance_that_is_gone_is_closed_once_it_is_unused() -> None:
    fleet = Fleet()
    registry = Registry(*endpoints("a", "b"))
    transport = BalancingTransport(registry, fleet.connect)
    await transport.send(GET)
    first, second = fleet.transports["a"], fleet.transports["b"]
    gate = second.gate = asyncio.Event()
    under_way = asyncio.create_task(transport.send(GET))
    await asyncio.sleep(0)
    registry.known = endpoints("c")
    await transport.send(GET)
    await asyncio.sleep(0)
    assert (first.closed, second.closed) == (1, 0)
    gate.set()
    await under_way
    await asyncio.sleep(0)
    assert second.closed == 1


async def test_instance_that_stays_keeps_its_transport() -> None:
    fleet = Fleet()
    registry = Registry(*endpoints("a"))
    transport = BalancingTransport(registry, fleet.connect)
    await transport.send(GET)
    first = fleet.transports["a"]
    registry.known = endpoints("a", "b")
    await transport.send(GET)
    assert fleet.transports["a"] is first


async def test_close_closes_everything() -> None:
    fleet = Fleet()
    registry = Registry(*endpoints("a", "b"))
    transport = BalancingTransport(registry, fleet.connect)
    await transport.send(GET)
    registry.known = endpoints("b")
    await transport.send(GET)
    await transport.aclose()
    assert Counter(one.closed for one in fleet.transports.values()) == {1: 2}
    assert registry.closed == 1


async def test_health_is_told_as_it_is_now_also_while_there_are_no_requests() -> None:
    registry, fleet = Registry(Endpoint("watched")), Fleet(watched=[UpstreamFailed("broke off")])
    balancing = BalancingTransport(registry, fleet.connect)

    def told() -> list[bool]:
        return [state.is_healthy for state in observed(UpstreamState) if state.instance == "watched"]

    with pytest.raises(UpstreamFailed):
        await balancing.send(GET)
    assert told() == [False]
    registry.report(Endpoint("watched"), healthy=True)
    assert told() == [True]
    registry.known = ()
    assert told() == []
    await balancing.aclose()
