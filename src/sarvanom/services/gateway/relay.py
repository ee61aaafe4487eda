"""Calls carried out by crud: the gateway's hop, which hands bytes on as they are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from sarvanom.security.statements import HEADER, Statements
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.shared.clients.idempotency import WRITING, KeySequence
from sarvanom.shared.clients.transport import Request, StreamedResponse, Transport
from sarvanom.shared.errors import Unauthorized
from sarvanom.web.calls import Answer, AnyAnswer, Call, Headers, StreamedAnswer

_HANDED_ON: Final = frozenset(
    {
        b"accept",
        b"cache-control",
        b"content-type",
        b"etag",
        b"idempotency-replayed",
        b"location",
        b"retry-after",
        b"sarvanom-oldest-revision",
        b"sarvanom-revision",
        b"vary",
        b"x-accel-buffering",
    }
)
_REASON: Final = "the internal secrets or the clocks differ; nothing was carried out"


class Relay:
    """Sends calls to crud and hands its answers on; the `Perform` of the gateway.

    Every write has an idempotency key, the caller's or one that is made here, so that it can be sent again. Every
    request states who asks; that crud does not believe it is no fault of the caller.
    """

    def __init__(self, transport: Transport, statements: Statements, recognition: Recognition) -> None:
        self._transport = transport
        self._statements = statements
        self._recognition = recognition
        self._keys = KeySequence()

    async def __call__(self, call: Call) -> AnyAnswer:
        """Carry out a call; raises what the transport raises."""
        headers = self._headers(call)
        request = Request(call.method, call.target, headers, call.body, call.patience)
        if call.is_streamed:
            return await self._stream(call, request)
        response = await self._transport.send(request)
        self._check(response.status)
        return Answer(response.status, _handed_on(response.headers), response.body)

    async def _stream(self, call: Call, request: Request) -> AnyAnswer:
        """Hand on what comes, as it comes, in both directions."""
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(self._transport.stream(request, call.chunks))
            self._check(response.status)
            return StreamedAnswer(
                response.status,
                _handed_on(response.headers),
                _RelayedChunks(response, stack.pop_all()),
                is_endless=call.is_endless,
            )

    def _headers(self, call: Call) -> Headers:
        headers: Headers = [(b"x-request-id", call.request_id.encode())]
        if call.headers:
            headers += call.headers
        if call.idempotency_key is not None:
            headers.append((b"idempotency-key", b'"%s"' % call.idempotency_key.encode()))
        elif call.method in WRITING and call.chunks is None:
            headers.append((b"idempotency-key", self._keys.next().encode()))
        body = call.body if call.chunks is None else None
        headers.append((HEADER, self._statements.sign(call.principal, call.method, call.target, headers, body)))
        return headers

    def _check(self, status: int) -> None:
        """Refuse to hand on that crud does not believe this gateway; raises `ServiceUnavailable`."""
        if status == Unauthorized.status:
            raise self._recognition.refused(_REASON)


class _RelayedChunks:
    """The chunks of crud's answer, and the exchange that they come from."""

    def __init__(self, response: StreamedResponse, exchange: AsyncExitStack) -> None:
        self._response = response
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.chunks

    async def aclose(self) -> None:
        await self._exchange.aclose()


def _handed_on(headers: Headers) -> Headers:
    return [header for header in headers if header[0] in _HANDED_ON]
