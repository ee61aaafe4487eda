"""Spreads requests over the instances of a service."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from operator import attrgetter
from typing import Final

from sarvanom.shared.clients.attempts import Attempt
from sarvanom.shared.clients.discovery import WeightedEndpoint
from sarvanom.shared.clients.request_body import WatchedBody
from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.observations import UpstreamRetried, UpstreamState, offer, tell

_FAILURES: Final = (ServiceUnavailable, UpstreamFailed, UpstreamTimeout)


class _Load:
    """What an instance has under way of one kind, requests or streams."""

    __slots__ = ("credit", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.credit = 0


class _Lane:
    """One instance, the transport to it, and how busy it is."""

    __slots__ = ("endpoint", "is_gone", "requests", "streams", "transport", "weight")

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        self.transport = transport
        self.requests = _Load()
        self.streams = _Load()
        self.is_gone = False
        self.follow(endpoint)

    def follow(self, endpoint: Endpoint) -> None:
        """Take over what discovery says now."""
        self.endpoint = endpoint
        self.weight = endpoint.weight if isinstance(endpoint, WeightedEndpoint) else 1


type _Kind = Callable[[_Lane], _Load]

_REQUESTS: Final[_Kind] = attrgetter("requests")
_STREAMS: Final[_Kind] = attrgetter("streams")


class _WatchedChunks(AsyncIterator[bytes]):
    """The body of an answer, which tells when the instance breaks off."""

    __slots__ = ("_chunks", "_on_failure")

    def __init__(self, chunks: AsyncIterator[bytes], on_failure: Callable[[Exception], None]) -> None:
        self._chunks = chunks
        self._on_failure = on_failure

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except _FAILURES as error:
            self._on_failure(error)
            raise


class BalancingTransport(Transport):
    """Sends each request to the healthy instance with the fewest requests under way for its weight.

    Streams go by streams: they last and mostly wait, so that they say nothing of how busy an instance is. An instance
    that cannot be reached is reported as unhealthy, and the next one is tried, since nothing was sent; one that breaks
    off or is late is reported, and the error is the caller's. A stream is under way as long as it is open; once
    something was taken from its body, no other instance is tried. Owns `discovery` and what `connect` returns.
    """

    def __init__(self, discovery: ServiceDiscoveryContract, connect: Callable[[str], Transport]) -> None:
        self._discovery = discovery
        self._connect = connect
        self._endpoints: Sequence[Endpoint] = ()
        self._lanes: dict[str, _Lane] = {}
        self._choices: list[_Lane] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._end_report = offer(self._report)

    async def send(self, request: Request) -> Response:
        """Return the answer of the first instance that could be reached."""
        lane = await self._pick(_REQUESTS)
        tried: list[_Lane] = []
        while True:
            try:
                return await self._send_along(lane, request)
            except ServiceUnavailable:
                tried.append(lane)
                if (untried := await self._pick_untried(tried, _REQUESTS)) is None:
                    raise
                tell(UpstreamRetried("failover"))
                lane = untried

    @asynccontextmanager
    async def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Hand over the answer of the first instance that could be reached."""
        source = None if body is None else WatchedBody(body)
        async with AsyncExitStack() as stack:
            yield await self._open(stack, request, source)

    async def aclose(self) -> None:
        """Close the discovery and every transport."""
        self._end_report()
        await self._discovery.aclose()
        lanes = list(self._lanes.values())
        await asyncio.gather(*(lane.transport.aclose() for lane in lanes), *self._closing)

    async def _send_along(self, lane: _Lane, request: Request) -> Response:
        lane.requests.under_way += 1
        attempt = Attempt(lane.endpoint.url, request)
        try:
            response = await lane.transport.send(request)
        except _FAILURES as error:
            self._discovery.report(lane.endpoint, healthy=False)
            attempt.failed(error)
            raise
        except BaseException:
            attempt.given_up()
            raise
        finally:
            self._leave(lane, lane.requests)
        attempt.answered(response.status)
        if not lane.endpoint.healthy:
            self._discovery.report(lane.endpoint, healthy=True)
        return response

    async def _open(self, stack: AsyncExitStack, request: Request, source: WatchedBody | None) -> StreamedResponse:
        """Open a stream, which the stack closes."""
        lane = await self._pick(_STREAMS)
        tried: list[_Lane] = []
        while True:
            try:
                return await self._open_along(lane, stack, request, source)
            except ServiceUnavailable:
                tried.append(lane)
                if source is not None and source.is_taken:
                    raise
                if (untried := await self._pick_untried(tried, _STREAMS)) is None:
                    raise
                tell(UpstreamRetried("failover"))
                lane = untried

    async def _open_along(
        self, lane: _Lane, stack: AsyncExitStack, request: Request, source: WatchedBody | None
    ) -> StreamedResponse:
        def is_theirs(error: Exception) -> bool:
            return source is None or error is not source.error

        def report_failure(error: Exception) -> None:
            if is_theirs(error):
                self._discovery.report(lane.endpoint, healthy=False)

        attempt = Attempt(lane.endpoint.url, request)
        async with AsyncExitStack() as opening:
            lane.streams.under_way += 1
            opening.callback(self._leave, lane, lane.streams)
            try:
                response = await opening.enter_async_context(lane.transport.stream(request, source))
            except BaseException as error:
                if isinstance(error, _FAILURES) and is_theirs(error):
                    report_failure(error)
                    attempt.failed(error)
                else:
                    attempt.given_up()
                raise
            attempt.answered(response.status)
            if not lane.endpoint.healthy:
                self._discovery.report(lane.endpoint, healthy=True)
            await stack.enter_async_context(opening.pop_all())
        return StreamedResponse(response.status, response.headers, _WatchedChunks(response.chunks, report_failure))

    def _report(self) -> Iterator[UpstreamState]:
        # Lanes follow discovery with the next request, which may be long in coming.
        healthy = {endpoint.url: endpoint.healthy for endpoint in self._discovery.latest()}
        for url, lane in self._lanes.items():
            if url in healthy:
                yield UpstreamState(url, healthy[url], lane.requests.under_way + lane.streams.under_way)

    def _leave(self, lane: _Lane, load: _Load) -> None:
        load.under_way -= 1
        if lane.is_gone:
            self._close_if_unused(lane)

    def _follow(self, endpoints: Sequence[Endpoint]) -> None:
        """Bring the lanes in line with what discovery says now."""
        gone = self._lanes
        self._lanes = {}
        for endpoint in endpoints:
            lane = gone.pop(endpoint.url, None) or _Lane(endpoint, self._connect(endpoint.url))
            lane.follow(endpoint)
            self._lanes[endpoint.url] = lane
        healthy = [lane for lane in self._lanes.values() if lane.endpoint.healthy]
        self._choices = healthy or list(self._lanes.values())
        self._endpoints = endpoints
        for lane in gone.values():
            lane.is_gone = True
            self._close_if_unused(lane)

    async def _pick(self, kind: _Kind) -> _Lane:
        await self._look()
        choices = self._choices
        return choices[0] if len(choices) == 1 else _least_busy(choices, kind)

    async def _look(self) -> None:
        """Ask discovery who is there."""
        endpoints = await self._discovery.endpoints()
        if endpoints is not self._endpoints:
            self._follow(endpoints)

    async def _pick_untried(self, tried: Sequence[_Lane], kind: _Kind) -> _Lane | None:
        """Return a lane for what these lanes could not carry: a healthy one if there is any."""
        await self._look()
        lanes = [lane for lane in self._lanes.values() if lane not in tried]
        choices = [lane for lane in lanes if lane.endpoint.healthy] or lanes
        return _least_busy(choices, kind) if choices else None

    def _close_if_unused(self, lane: _Lane) -> None:
        if lane.requests.under_way == 0 and lane.streams.under_way == 0:
            task = asyncio.ensure_future(lane.transport.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _least_busy(lanes: Sequence[_Lane], kind: _Kind) -> _Lane:
    """Return the lane with the least of a kind for its weight; ties are broken in turn, smoothly (as nginx does)."""
    least = min(kind(lane).under_way / lane.weight for lane in lanes)
    tied = [lane for lane in lanes if kind(lane).under_way / lane.weight == least]
    for lane in tied:
        kind(lane).credit += lane.weight
    chosen = max(tied, key=lambda lane: kind(lane).credit)
    kind(chosen).credit -= sum(lane.weight for lane in tied)
    return chosen
