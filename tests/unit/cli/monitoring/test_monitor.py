"""Looking at services: which are away, which refuse, which are something else, and what is seen when they are back."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sarvanom.cli.monitoring.monitor import Monitor, ServiceWatch, Trend
from sarvanom.cli.monitoring.readings import REQUESTS, REVISION
from sarvanom.cli.monitoring.tokens import MetricsTokens
from sarvanom.shared.clients.discovery import ServiceDiscoveryClient
from sarvanom.shared.clients.endpoint_sources import EndpointSource, Finding, StaticSource, Target
from sarvanom.shared.clients.transport import Response
from sarvanom.shared.errors import ServiceUnavailable, UpstreamTimeout
from sarvanom.shared.observations import RequestServed, StoreMeasured, tell
from sarvanom.shared.trace_context import RequestNotes
from tests.unit.cli.monitoring.exposed import exposed
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport, answer

TOKEN = "scraper-Q7wT3nB9vK5xR1mZ8cF4hJ6pL2dS0gYa-tests"


def serve(requests: int = 0) -> Callable[[], None]:
    def happen() -> None:
        tell(StoreMeasured(is_available=True, revision=5, floor=0))
        for _ in range(requests):
            tell(RequestServed("GET", "/users", 200, 0.003, 10, False, None, "", RequestNotes("r"), None))

    return happen


def says(service: str, requests: int = 0) -> Outcome:
    return answer(200, exposed(service, serve(requests)).encode())


def watch(
    service: str, outcomes: Sequence[Outcome], *, source: EndpointSource | None = None, token: str | None = TOKEN
) -> tuple[ServiceWatch, dict[str, ScriptedTransport]]:
    """Return what looks at a service, and the transports that it has made, by URL."""
    made: dict[str, ScriptedTransport] = {}

    def connect(url: str) -> ScriptedTransport:
        made[url] = ScriptedTransport(outcomes)
        return made[url]

    discovery = ServiceDiscoveryClient(source or StaticSource(["http://127.0.0.1:1"]))
    return ServiceWatch(service, discovery, connect, MetricsTokens(token, Path("/nowhere"))), made


async def test_a_look_after_another_has_rates() -> None:
    crud, made = watch("crud", [says("crud", 10), says("crud", 25)])
    first = await crud.look()
    assert (first.rates, first.addresses, len(first.readings), first.problems) == (None, 1, 1, [])
    assert first.gauge(REVISION) == [5]
    assert first.rate(REQUESTS) is None
    second = await crud.look()
    grown = second.rate(REQUESTS, "/users")
    assert grown is not None
    assert grown * (second.readings[0].at - first.readings[0].at) == pytest.approx(15)
    assert second.rate(REQUESTS, "/cache") == 0
    (sent, _) = made["http://127.0.0.1:1"].requests
    assert sent.target == b"/metrics"
    assert dict(sent.headers)[b"authorization"] == f"Bearer {TOKEN}".encode()
    await crud.aclose()
    assert made["http://127.0.0.1:1"].closed == 1


PROBLEM = (b"content-type", b"application/problem+json")
UNREADABLE: dict[str, tuple[Outcome, str, bool]] = {
    "away": (ServiceUnavailable("The service cannot be reached"), "cannot be reached", False),
    "late": (UpstreamTimeout("The service did not answer in time"), "in time", False),
    "401": (
        Response(401, [PROBLEM], b'{"code":"unauthorized","detail":"No"}'),
        "No (the token was that of SARVANOM_METRICS_TOKEN)",
        True,
    ),
    "403": (Response(403, [PROBLEM], b'{"code":"forbidden","detail":"No"}'), "No (the token was that of", True),
    "page": (answer(200, b"<html>"), "is no service of SarvanOM", False),
    "bytes": (answer(200, b"\xff\xfe\x00"), "is no service of SarvanOM", False),
    "404": (answer(404, b"<html>"), "404", False),
    "302": (answer(302), "302", False),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_is_told_of_until_it_can(name: str) -> None:
    outcome, said, is_refusal = UNREADABLE[name]
    crud, _ = watch("crud", [says("crud"), outcome, outcome, says("crud", 7)])
    await crud.look()
    seen = [await crud.look(), await crud.look()]
    for observed in seen:
        ((service, url, text, _, refuses),) = observed.problems
        assert (service, url, refuses) == ("crud", "http://127.0.0.1:1", is_refusal)
        assert said in text
        assert (observed.readings, observed.rates, observed.addresses) == ([], None, 0)
    assert seen[0].problems[0].since == seen[1].problems[0].since
    back = await crud.look()
    assert (back.problems, len(back.readings)) == ([], 1)
    assert back.rate(REQUESTS) is not None  # since it was seen last
    await crud.aclose()


async def test_another_service_than_is_meant_is_told_of() -> None:
    crud, _ = watch("crud", [says("gateway")])
    observed = await crud.look()
    assert [problem.text for problem in observed.problems] == ["What answers there is gateway"]
    assert observed.readings == []
    await crud.aclose()


async def test_without_a_token_nothing_is_asked() -> None:
    crud, made = watch("crud", [says("crud")], token=None)
    (problem,) = (await crud.look()).problems
    assert problem.is_refusal
    assert "no token" in problem.text
    assert made == {}


class Changing(EndpointSource):
    """A source whose every answer is another one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def find(self) -> Finding:
        urls = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not urls:
            raise ServiceUnavailable("The DNS does not answer")
        return Finding([Target(url) for url in urls], 0)


async def test_a_source_that_cannot_be_asked_is_told_of() -> None:
    crud, _ = watch("crud", [says("crud")], source=Changing([], ["http://127.0.0.1:1"]))
    (problem,) = (await crud.look()).problems
    assert (problem.url, problem.text) == ("", "No instance of the service is known")
    assert (await crud.look()).addresses == 1
    await crud.aclose()


async def test_several_instances_are_one_service() -> None:
    urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    crud, made = watch("crud", [says("crud", 3), says("crud", 4)], source=StaticSource(urls))
    await crud.look()
    observed = await crud.look()
    assert (observed.addresses, len(observed.readings), sorted(made)) == (2, 2, urls)
    await crud.aclose()


async def test_both_services_are_in_a_snapshot() -> None:
    gateway, _ = watch("gateway", [says("gateway")])
    crud, _ = watch("crud", [says("crud"), UpstreamTimeout("late"), says("crud")])
    monitor = Monitor(gateway, crud)
    first, second, third = [await monitor.look() for _ in range(3)]
    assert (first.seconds, first.changes) == (None, None)
    assert second.seconds is not None
    assert len(second.gateway.readings) == 1
    assert [problem.text for problem in second.crud.problems] == ["late"]
    assert third.crud.problems == []
    assert len(third.at) == len("12:34:56")
    await monitor.aclose()


def test_a_trend_is_known_after_five_seconds_and_over_the_last_ten() -> None:
    trend = Trend()
    # The number is only looked at every five seconds, and grows by ten then.
    seen = [trend.follow(at, 10 * ((at + 2) // 5)) for at in range(0, 21, 2)]
    assert seen[:3] == [None, None, None]
    assert seen[5:] == [2.0] * 6
    assert trend.follow(22, None) is None
    assert trend.follow(24, 3.0) is None  # another database
    assert trend.follow(30, 9.0) == 1.0


def test_a_trend_over_long_intervals_is_that_of_the_last() -> None:
    trend = Trend()
    assert [trend.follow(60.0 * number, 60.0 * number**2) for number in range(4)] == [None, 1.0, 3.0, 5.0]
