"""What listens in one process of a service, put together: lines, metrics, and traces if they are on."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sarvanom.observability.event_lines import write_event_lines
from sarvanom.observability.exposition import Exposition
from sarvanom.observability.loop_lag import LoopLag
from sarvanom.observability.metrics import Metrics
from sarvanom.observability.sampling import TraceEntrance
from sarvanom.observability.siblings import Place, Siblings
from sarvanom.shared.observations import Report, RequestsUnderWay, offer


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Where traces go (None: there are none), which share is recorded, and whether callers decide for their own.

    All services that are to record the same traces have the same `key`.
    """

    endpoint: str | None
    ratio: float
    key: bytes
    follows_callers: bool

    def entrance(self) -> TraceEntrance | None:
        """Return where requests enter a trace; None if there are none."""
        if self.endpoint is None:
            return None
        return TraceEntrance(self.ratio, self.key, follows_callers=self.follows_callers)


class Observability:
    """Listens while its service runs."""

    def __init__(self, service: str, version: str, place: Place, traces: TraceSettings) -> None:
        self.metrics = Metrics(service)
        self._exposition = Exposition(self.metrics, service, version, place.worker)
        self._siblings = Siblings(place, service, self._exposition.read)
        self._lag = LoopLag()
        self.under_way = RequestsUnderWay(0)
        self._traces = traces
        self._instance = f"{service}-{place.worker}"
        self._service, self._version = service, version
        self._stack = AsyncExitStack()

    async def start(self, reports: Sequence[Report] = ()) -> None:
        """Begin to listen, and to ask for states."""
        self._stack.callback(write_event_lines())
        self.metrics.listen()
        self._stack.callback(self.metrics.stop)
        for report in (lambda: (self.under_way,), *reports):
            self._stack.callback(offer(report))
        if self._traces.endpoint is not None:
            # What sends traces is loaded only where there are any.
            from sarvanom.observability.traces import Traces

            traces = Traces(self._traces.endpoint, self._service, self._version, self._instance)
            traces.listen()
            self._stack.push_async_callback(asyncio.to_thread, traces.close)
        self._lag.start()
        self._stack.callback(self._lag.stop)
        await self._siblings.start()
        self._stack.push_async_callback(self._siblings.aclose)

    async def aclose(self) -> None:
        """Listen no more; what is recorded is sent, if somebody takes it within a few seconds."""
        await self._stack.aclose()

    async def read(self, accept: str) -> tuple[str, bytes]:
        """Return media type and text of what all workers have measured."""
        from sarvanom.observability.rendering import render  # with the client's own text, once somebody scrapes

        payloads, missing = await self._siblings.read_all()
        payloads.append(self._exposition.unreachable(missing))
        return await asyncio.to_thread(render, payloads, accept)
