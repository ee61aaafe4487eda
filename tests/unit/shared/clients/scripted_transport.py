"""A transport in memory, which answers what a test tells it to answer."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sarvanom.shared.clients.transport import Headers, Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import ServiceUnavailable

type Outcome = Response | Exception | int


class ScriptedTransport(Transport):
    """Answers with each outcome in turn, the last one again and again; a number is a status without a body.

    A stream first takes all of its body, unless the service cannot be reached; `breaks_off` is raised at its end.
    """

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.open_streams = 0
        self.breaks_off: Exception | None = None
        self.closed = 0
        self.gate: asyncio.Event | None = None

    async def send(self, request: Request) -> Response:
        outcome = self.outcomes[min(len(self.requests), len(self.outcomes) - 1)]
        self.requests.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return Response(outcome, [], b"") if isinstance(outcome, int) else outcome

    @asynccontextmanager
    async def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        self.open_streams += 1
        try:
            taken = b"" if body is None or self._is_away() else b"".join([chunk async for chunk in body])
            response = await self.send(request)
            self.bodies.append(taken)
            yield StreamedResponse(response.status, response.headers, self._chunks(response.body))
        finally:
            self.open_streams -= 1

    async def _chunks(self, body: bytes) -> AsyncIterator[bytes]:
        for place in range(0, len(body), 10):
            yield body[place : place + 10]
        if self.breaks_off is not None:
            raise self.breaks_off

    def _is_away(self) -> bool:
        return isinstance(self.outcomes[min(len(self.requests), len(self.outcomes) - 1)], ServiceUnavailable)

    async def aclose(self) -> None:
        self.closed += 1


def answer(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Response:
    fields: Headers = [(b"content-type", b"application/json"), *headers]
    return Response(status, fields, body)
