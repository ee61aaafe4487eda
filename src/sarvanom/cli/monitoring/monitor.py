"""Looks at the metrics of both services, again and again."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sarvanom.cli.monitoring.rates import Trail, add_up
from sarvanom.cli.monitoring.readings import REVISION, Reading, Scrape, Series, parse_scrape
from sarvanom.cli.monitoring.tokens import MetricsTokens
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.transport import Transport
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.shared.errors import Forbidden, SarvanOMError, ServiceUnavailable, Unauthorized

_HEADERS: Final = {"accept": "text/plain; version=0.0.4"}


class Problem(NamedTuple):
    """Why a service could not be read at an address, since when, and whether that is because it may not be."""

    service: str
    url: str
    text: str
    since: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a service; `rates` is None until a worker was seen twice.

    `are_mixed` tells that several processes take turns at an address, as behind a balancer: their rates are none.
    """

    service: str
    readings: Sequence[Reading] = ()
    rates: Mapping[Series, float] | None = None
    addresses: int = 0
    problems: Sequence[Problem] = ()
    are_mixed: bool = False

    def gauge(self, name: str) -> list[float]:
        """Return what each worker says of a gauge."""
        return [value for reading in self.readings for series, value in reading.gauges.items() if series[0] == name]

    def rate(self, name: str, *labels: str) -> float | None:
        """Return the rate of all counters of a name whose first labels are these; None if it is not known yet."""
        if self.rates is None:
            return None
        wanted = (name, *labels)
        return sum((rate for series, rate in self.rates.items() if series[: len(wanted)] == wanted), 0.0)


class Snapshot(NamedTuple):
    """What was seen at once: when by the clock on the wall, and how many seconds after the look before, if any."""

    at: str
    seconds: float | None
    gateway: Observed
    crud: Observed
    changes: float | None
    """Changes per second; None if it is not known yet."""


class ServiceWatch:
    """Reads the metrics of one service at all of its addresses."""

    def __init__(
        self,
        service: str,
        discovery: ServiceDiscoveryContract,
        connect: Callable[[str], Transport],
        tokens: MetricsTokens,
    ) -> None:
        self._service = service
        self._discovery = discovery
        self._connect = connect
        self._tokens = tokens
        self._clients: dict[str, ServiceClient] = {}
        self._since: dict[str, str] = {}
        self._trail = Trail()

    async def look(self) -> Observed:
        """Return what is to be seen now."""
        try:
            urls = [endpoint.url for endpoint in await self._discovery.endpoints()]
        except ServiceUnavailable as error:
            return Observed(self._service, problems=[self._problem("", error.detail)])
        await self._keep(urls)
        found = await asyncio.gather(*(self._scrape(url) for url in urls))
        scrapes = {url: one.workers for url, one in zip(urls, found, strict=True) if isinstance(one, Scrape)}
        rates = [rates for url, workers in scrapes.items() if (rates := self._trail.follow(url, workers)) is not None]
        return Observed(
            self._service,
            [reading for workers in scrapes.values() for reading in workers.values()],
            add_up(rates) if rates else None,
            len(scrapes),
            [one for one in found if isinstance(one, Problem)],
            self._trail.are_mixed,
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._keep(())
        await self._discovery.aclose()

    async def _scrape(self, url: str) -> Scrape | Problem:
        token = self._tokens.find(url)
        if token is None:
            return self._problem(url, self._tokens.origin(url), is_refusal=True)
        if url not in self._clients:
            self._clients[url] = ServiceClient(self._connect(url), api_key=token, headers=_HEADERS)
        try:
            answer = await self._clients[url].request("GET", "/metrics")
            scrape = parse_scrape(answer.body.decode(errors="replace"), time.monotonic())
        except (Unauthorized, Forbidden) as error:
            return self._problem(url, f"{error.detail} ({self._tokens.origin(url)})", is_refusal=True)
        except SarvanOMError as error:
            return self._problem(url, error.detail)
        except ValueError:
            return self._problem(url, "What answers there is no service of SarvanOM")
        if scrape.service != self._service:
            return self._problem(url, f"What answers there is {scrape.service}")
        self._since.pop(url, None)
        return scrape

    def _problem(self, url: str, text: str, *, is_refusal: bool = False) -> Problem:
        since = self._since.setdefault(url, wall_clock())
        return Problem(self._service, url, text, since, is_refusal)

    async def _keep(self, urls: Collection[str]) -> None:
        """Forget every other address."""
        self._trail.keep(urls)
        for url in [url for url in self._clients if url not in urls]:
            await self._clients.pop(url).aclose()


class Trend:
    """How fast a number grows that is only looked at every few seconds: over the last ten, or at least five."""

    def __init__(self, seconds: float = 10.0, least: float = 5.0) -> None:
        self._seconds = seconds
        self._least = least
        self._seen: deque[tuple[float, float]] = deque()

    def follow(self, at: float, value: float | None) -> float | None:
        """Return how much it grew per second; None if that is not known, or it fell."""
        if value is None:
            return None
        if self._seen and value < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, value))
        while len(self._seen) > 2 and self._seen[1][0] <= at - self._seconds:
            self._seen.popleft()
        began, first = self._seen[0]
        return (value - first) / (at - began) if at - began >= self._least else None


class Monitor:
    """Looks at both services at once."""

    def __init__(self, gateway: ServiceWatch, crud: ServiceWatch) -> None:
        self._gateway = gateway
        self._crud = crud
        self._before: float | None = None
        self._revision = Trend()

    async def look(self) -> Snapshot:
        """Return what is to be seen now."""
        gateway, crud = await asyncio.gather(self._gateway.look(), self._crud.look())
        now = time.monotonic()
        seconds = None if self._before is None else now - self._before
        self._before = now
        changes = self._revision.follow(now, max(crud.gauge(REVISION), default=None))
        return Snapshot(wall_clock(), seconds, gateway, crud, changes)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._gateway.aclose()
        await self._crud.aclose()


def wall_clock() -> str:
    """Return the time of day as people here read it."""
    return time.strftime("%H:%M:%S")
