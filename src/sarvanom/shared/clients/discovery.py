"""Which instances of a service there are, and which of them are well."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from sarvanom.shared.clients.endpoint_sources import EndpointSource, Target
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.tls import FollowedContext

type Probe = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class WeightedEndpoint(Endpoint):
    """An endpoint that is to get more requests than others, in proportion to its weight."""

    weight: int = 1


@dataclass(frozen=True, slots=True)
class DiscoveryTimes:
    """Seconds: bounds of how long an answer of the source is used, and when and how long to probe."""

    shortest_ttl: float = 1.0
    longest_ttl: float = 300.0
    probe_interval: float = 1.0
    probe_timeout: float = 2.0


class ServiceDiscoveryClient(ServiceDiscoveryContract):
    """Asks a source for the instances, and keeps track of their health.

    The source is asked before the first answer, and then in the background of a call, once the answer's time is over;
    the last good answer stands while it cannot be asked. An instance that was reported as unhealthy is probed until it
    is well. Of targets with different priorities those are returned that have the best one of which any is well.
    """

    def __init__(
        self,
        source: EndpointSource,
        *,
        probe: Probe | None = None,
        times: DiscoveryTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._probe = probe or is_ready
        self._times = times or DiscoveryTimes()
        self._clock = clock
        self._sleep = sleep
        self._targets: Sequence[Target] = ()
        self._good_until = float("-inf")
        self._unwell: set[str] = set()
        self._endpoints: Sequence[Endpoint] = ()
        self._refreshing: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._closed = False

    async def endpoints(self) -> Sequence[Endpoint]:
        """Return the instances; the same object as before if nothing has changed."""
        if self._clock() >= self._good_until and not self._closed:
            if self._refreshing is None:
                self._refreshing = asyncio.create_task(self._refresh(), context=Context())
            if not self._targets:
                await asyncio.wait([self._refreshing])
        if not self._endpoints:
            raise ServiceUnavailable("No instance of the service is known")
        return self._endpoints

    def latest(self) -> Sequence[Endpoint]:
        """Return what is known now."""
        return self._endpoints

    def report(self, endpoint: Endpoint, *, healthy: bool) -> None:
        """Take note; the first unhealthy instance starts the probing."""
        known = any(endpoint.url == one.url for one in self._targets)
        if self._closed or not known or healthy == (endpoint.url not in self._unwell):
            return
        if healthy:
            self._unwell.discard(endpoint.url)
        else:
            self._unwell.add(endpoint.url)
            if self._probing is None:
                self._probing = asyncio.create_task(self._probe_unwell(), context=Context())
        self._rebuild()

    async def aclose(self) -> None:
        """Stop asking and probing."""
        self._closed = True
        tasks = [task for task in (self._refreshing, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh(self) -> None:
        times = self._times
        try:
            targets, ttl = await self._source.find()
        except ServiceUnavailable:
            if self._targets:
                self._good_until = self._clock() + times.shortest_ttl
        else:
            self._good_until = self._clock() + min(max(ttl, times.shortest_ttl), times.longest_ttl)
            if targets != self._targets:
                self._targets = targets
                self._unwell &= {target.url for target in targets}
                self._rebuild()
        finally:
            self._refreshing = None

    async def _probe_unwell(self) -> None:
        try:
            while self._unwell:
                await self._sleep(self._times.probe_interval)
                await asyncio.gather(*(self._probe_one(url) for url in self._unwell))
                self._rebuild()
        finally:
            self._probing = None

    async def _probe_one(self, url: str) -> None:
        try:
            async with asyncio.timeout(self._times.probe_timeout):
                well = await self._probe(url)
        except Exception:  # noqa: BLE001 (whatever a probe raises, the instance is not well)
            well = False
        if well:
            self._unwell.discard(url)

    def _rebuild(self) -> None:
        """Make the answer anew, so that to be handed it costs a call nothing."""
        well = [target.priority for target in self._targets if target.url not in self._unwell]
        best = min(well, default=None)
        self._endpoints = tuple(
            WeightedEndpoint(target.url, target.url not in self._unwell, target.weight)
            for target in self._targets
            if best is None or target.priority == best
        )


async def is_ready(url: str, *, tls: FollowedContext | None = None, server_name: str | None = None) -> bool:
    """Tell whether the instance answers that it is ready."""
    transport = KeepAliveTransport(url, max_connections=1, tls=tls, server_name=server_name)
    try:
        return (await transport.send(Request("GET", b"/ready"))).status == 200
    finally:
        await transport.aclose()
