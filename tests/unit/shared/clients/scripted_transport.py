"""A transport in memory, which answers what a test tells it to answer."""

import asyncio
from collections.abc import Sequence

from sarvanom.shared.clients.transport import Headers, Request, Response, Transport

type Outcome = Response | Exception | int


class ScriptedTransport(Transport):
    """Answers with each outcome in turn, the last one again and again; a number is a status without a body."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []
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

    async def aclose(self) -> None:
        self.closed += 1


def answer(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Response:
    fields: Headers = [(b"content-type", b"application/json"), *headers]
    return Response(status, fields, body)
