"""Which instances are known, and when they are thought to be well."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from sarvanom.shared.clients.discovery import DiscoveryTimes, Probe, ServiceDiscoveryClient, is_ready
from sarvanom.shared.clients.endpoint_sources import EndpointSource, Finding, StaticSource, Target
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.errors import ServiceUnavailable
from tests.unit.shared.clients.peers import OK, answering, serve, unused_port

type Discover = Callable[..., ServiceDiscoveryClient]


@dataclass
class Source(EndpointSource):
    """A source that a test directs; `answer` None stands for one that is away."""

    answer: tuple[Target, ...] | None
    ttl: float = 10.0
    asked: int = 0
    gate: asyncio.Event | None = None

    async def find(self) -> Finding:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.answer is None:
            raise ServiceUnavailable("Away")
        return Finding(self.answer, self.ttl)


@dataclass
class Clinic:
    """Probes and the waits between them: each `step` lets one round of probing happen."""

    well: set[str] = field(default_factory=set)
    probed: list[str] = field(default_factory=list)
    turn: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self, url: str) -> bool:
        self.probed.append(url)
        return url in self.well

    async def sleep(self, _: float) -> None:
        await self.turn.wait()
        self.turn.clear()

    async def step(self) -> None:
        self.turn.set()
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def discover() -> AsyncIterator[Discover]:
    opened: list[ServiceDiscoveryClient] = []

    def discover(source: EndpointSource, **options: Any) -> ServiceDiscoveryClient:
        opened.append(ServiceDiscoveryClient(source, **options))
        return opened[-1]

    yield discover
    for one in opened:
        await one.aclose()


async def health(discovery: ServiceDiscoveryClient) -> dict[str, bool]:
    return {endpoint.url: endpoint.healthy for endpoint in await discovery.endpoints()}


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_static_list_is_handed_out_as_the_same_object(discover: Discover) -> None:
    discovery = discover(StaticSource(["http://a", "http://b", "http://a"]))
    first = await discovery.endpoints()
    assert [endpoint.url for endpoint in first] == ["http://a", "http://b"]
    assert await discovery.endpoints() is first


async def test_empty_list_is_unavailable(discover: Discover) -> None:
    with pytest.raises(ServiceUnavailable):
        await discover(StaticSource([])).endpoints()


async def test_answer_is_used_for_its_time_and_renewed_in_the_background(discover: Discover) -> None:
    now = 0.0
    source = Source((Target("a"),), ttl=10.0)
    discovery = discover(source, clock=lambda: now)
    await discovery.endpoints()
    now = 9.9
    await discovery.endpoints()
    assert source.asked == 1
    now = 10.0
    source.answer = (Target("b"),)
    assert await health(discovery) == {"a": True}
    await settle()
    assert await health(discovery) == {"b": True}
    assert source.asked == 2


@pytest.mark.parametrize(("ttl", "used_for"), [(0.0, 1.0), (10.0, 10.0), (86_400.0, 300.0), (float("inf"), 300.0)])
async def test_time_of_an_answer_has_bounds(discover: Discover, ttl: float, used_for: float) -> None:
    now = 0.0
    source = Source((Target("a"),), ttl=ttl)
    discovery = discover(source, clock=lambda: now, times=DiscoveryTimes(shortest_ttl=1, longest_ttl=300))
    await discovery.endpoints()
    for moment, asked in ((used_for - 0.01, 1), (used_for, 2)):
        now = moment
        await discovery.endpoints()
        await settle()
        assert source.asked == asked


async def test_last_good_answer_stands_while_the_source_is_away(discover: Discover) -> None:
    now = 0.0
    source = Source((Target("a"),))
    discovery = discover(source, clock=lambda: now)
    await discovery.endpoints()
    source.answer = None
    for moment in (10.0, 10.5, 11.0):
        now = moment
        assert await health(discovery) == {"a": True}
        await settle()
    assert source.asked == 3


async def test_source_that_never_answered_is_asked_by_every_call(discover: Discover) -> None:
    source = Source(None)
    discovery = discover(source)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await discovery.endpoints()
    source.answer = (Target("a"),)
    assert await health(discovery) == {"a": True}


async def test_calls_at_once_ask_once(discover: Discover) -> None:
    source = Source((Target("a"),), gate=asyncio.Event())
    discovery = discover(source)
    calls = [asyncio.create_task(discovery.endpoints()) for _ in range(5)]
    await settle()
    calls[0].cancel()
    assert source.gate is not None
    source.gate.set()
    await asyncio.gather(*calls[1:])
    assert source.asked == 1


async def test_reported_instance_is_out_until_a_probe_finds_it_well(discover: Discover) -> None:
    clinic = Clinic()
    discovery = discover(StaticSource(["a", "b"]), probe=clinic.probe, sleep=clinic.sleep)
    first, _ = await discovery.endpoints()
    discovery.report(first, healthy=False)
    discovery.report(first, healthy=False)
    assert await health(discovery) == {"a": False, "b": True}
    await clinic.step()
    assert await health(discovery) == {"a": False, "b": True}
    clinic.well.add("a")
    await clinic.step()
    assert await health(discovery) == {"a": True, "b": True}
    assert clinic.probed == ["a", "a"]


async def test_what_goes_on_after_a_request_is_none_of_its_doing(discover: Discover) -> None:
    seen: list[str] = []

    class Noting(Source):
        async def find(self) -> Finding:
            seen.append(about.get())
            return await super().find()

    async def probe(_: str) -> bool:
        seen.append(about.get())
        return True

    about = ContextVar("about", default="nobody")
    about.set("a request")
    discovery = discover(Noting((Target("a"),)), probe=probe, times=DiscoveryTimes(probe_interval=0))
    (endpoint,) = await discovery.endpoints()
    discovery.report(endpoint, healthy=False)
    for _ in range(10):
        await asyncio.sleep(0)
    assert seen == ["nobody"] * 2


async def test_probing_starts_again_after_it_ended(discover: Discover) -> None:
    clinic = Clinic(well={"a"})
    discovery = discover(StaticSource(["a"]), probe=clinic.probe, sleep=clinic.sleep)
    (endpoint,) = await discovery.endpoints()
    for _ in range(2):
        discovery.report(endpoint, healthy=False)
        await settle()
        await clinic.step()
    assert clinic.probed == ["a", "a"]


async def test_all_unhealthy_are_returned_all(discover: Discover) -> None:
    clinic = Clinic()
    discovery = discover(StaticSource(["a", "b"]), probe=clinic.probe, sleep=clinic.sleep)
    for endpoint in await discovery.endpoints():
        discovery.report(endpoint, healthy=False)
    assert await health(discovery) == {"a": False, "b": False}


async def test_good_report_ends_the_bad_one(discover: Discover) -> None:
    clinic = Clinic()
    discovery = discover(StaticSource(["a"]), probe=clinic.probe, sleep=clinic.sleep)
    (endpoint,) = await discovery.endpoints()
    discovery.report(endpoint, healthy=True)
    discovery.report(endpoint, healthy=False)
    discovery.report(endpoint, healthy=True)
    assert await health(discovery) == {"a": True}


async def test_report_on_a_stranger_is_nothing(discover: Discover) -> None:
    discovery = discover(StaticSource(["a"]))
    await discovery.endpoints()
    discovery.report(Endpoint("x"), healthy=False)
    assert await health(discovery) == {"a": True}


async def hang(_: str) -> bool:
    return await asyncio.Future()


async def explode(_: str) -> bool:
    raise RuntimeError("not our kind of error")


@pytest.mark.parametrize("probe", [hang, explode])
async def test_probe_that_hangs_or_fails_finds_nothing_well(discover: Discover, probe: Probe) -> None:
    clinic = Clinic()
    times = DiscoveryTimes(probe_timeout=0.002)
    discovery = discover(StaticSource(["a"]), probe=probe, sleep=clinic.sleep, times=times)
    (endpoint,) = await discovery.endpoints()
    discovery.report(endpoint, healthy=False)
    await clinic.step()
    await asyncio.sleep(0.005)
    assert await health(discovery) == {"a": False}


async def test_health_of_what_is_gone_is_forgotten(discover: Discover) -> None:
    now = 0.0
    clinic = Clinic()
    source = Source((Target("a"), Target("b")))
    discovery = discover(source, clock=lambda: now, probe=clinic.probe, sleep=clinic.sleep)
    discovery.report((await discovery.endpoints())[0], healthy=False)
    for answer in ((Target("b"),), (Target("a"), Target("b"))):
        now += 10.0
        source.answer = answer
        await discovery.endpoints()
        await settle()
    assert await health(discovery) == {"a": True, "b": True}


async def test_best_priority_that_is_well_is_used(discover: Discover) -> None:
    clinic = Clinic()
    source = Source((Target("a", priority=1), Target("b", priority=1), Target("c", priority=2)))
    discovery = discover(source, probe=clinic.probe, sleep=clinic.sleep)
    first, second = await discovery.endpoints()
    discovery.report(first, healthy=False)
    assert await health(discovery) == {"a": False, "b": True}
    discovery.report(second, healthy=False)
    (backup,) = await discovery.endpoints()
    assert backup == type(backup)("c")
    discovery.report(backup, healthy=False)
    assert await health(discovery) == {"a": False, "b": False, "c": False}
    clinic.well.add("b")
    await clinic.step()
    assert await health(discovery) == {"a": False, "b": True}


async def test_close_stops_asking_and_probing() -> None:
    clinic = Clinic()
    source = Source((Target("a"),))
    discovery = ServiceDiscoveryClient(source, probe=clinic.probe, sleep=clinic.sleep, clock=lambda: 0.0)
    discovery.report((await discovery.endpoints())[0], healthy=False)
    await discovery.aclose()
    await discovery.aclose()
    await clinic.step()
    assert clinic.probed == []
    discovery.report((await discovery.endpoints())[0], healthy=True)
    assert await health(discovery) == {"a": False}


async def test_close_before_the_first_call_leaves_nothing_known() -> None:
    discovery = ServiceDiscoveryClient(StaticSource(["a"]))
    await discovery.aclose()
    with pytest.raises(ServiceUnavailable):
        await discovery.endpoints()


@pytest.mark.parametrize(("status", "ready"), [(b"200 OK", True), (b"503 Service Unavailable", False)])
async def test_instance_is_ready_if_it_says_so(status: bytes, ready: bool) -> None:
    async with serve(answering(OK.replace(b"200 OK", status))) as peer:
        assert await is_ready(peer.url) is ready
    assert peer.requests[0].startswith(b"GET /ready HTTP/1.1\r\n")


async def test_real_probe_over_real_time(discover: Discover) -> None:
    async with serve(answering(OK)) as peer:
        away = f"http://127.0.0.1:{await unused_port()}"
        discovery = discover(StaticSource([peer.url, away]), times=DiscoveryTimes(probe_interval=0.001))
        for endpoint in await discovery.endpoints():
            discovery.report(endpoint, healthy=False)
        while not (await health(discovery))[peer.url]:  # noqa: ASYNC110 (discovery has nothing to wait on)
            await asyncio.sleep(0.001)
        assert await health(discovery) == {peer.url: True, away: False}
