"""The relay: calls go to crud, and answers come back, as bytes."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi import FastAPI

from sarvanom.security.statements import HEADER
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.services.gateway.relay import Relay
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Headers, Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import UpstreamFailed
from sarvanom.web.archive_routes import add_archive_routes
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.calls import Answer, Call, StreamedAnswer
from sarvanom.web.routing import DirectDispatch, direct_routes
from tests.harness.identity import ADMINISTRATOR, STATEMENTS
from tests.unit.shared.clients.peers import OK, Conversation, serve
from tests.unit.web.asgi import ask, http_scope, read_all

RECOGNITION = Recognition("given" * 8, Path())


class Answering(Transport):
    """Keeps the requests and gives them all one answer."""

    def __init__(self, response: Response | Exception) -> None:
        self.response = response
        self.requests: list[Request] = []
        self.open = 0

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    @asynccontextmanager
    async def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        response = await self.send(request)
        self.open += 1
        try:
            yield StreamedResponse(response.status, response.headers, chunks(response.body))
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """Nothing is held."""


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for place in range(len(body)):
        yield body[place : place + 1]


def call(headers: Headers | None = None, body: bytes = b"", *, key: str | None = None) -> Call:
    return Call(
        method="PATCH",
        target=b"/users/ada?x=%20",
        request_id="r-1",
        headers=headers,
        body=body,
        idempotency_key=key,
        principal=ADMINISTRATOR,
    )


async def test_call_is_sent_as_it_was_parsed() -> None:
    transport = Answering(Response(200, [], b""))
    headers = [(b"content-type", b"application/merge-patch+json"), (b"if-match", b'"7"')]
    await Relay(transport, STATEMENTS, RECOGNITION)(call(headers, b'{"a": 1}', key="k 1"))
    own = [(b"x-request-id", b"r-1"), *headers, (b"idempotency-key", b'"k 1"')]
    (request,) = transport.requests
    name, statement = request.headers.pop()
    assert request == Request("PATCH", b"/users/ada?x=%20", own, b'{"a": 1}')
    stated = STATEMENTS.verify(statement, "PATCH", b"/users/ada?x=%20", own)
    assert (name, stated) == (HEADER, (ADMINISTRATOR, sha256(b'{"a": 1}').digest()))
    assert headers == [(b"content-type", b"application/merge-patch+json"), (b"if-match", b'"7"')]


@pytest.mark.parametrize("headers", [None, []])
async def test_call_without_headers_has_its_request_id(headers: Headers | None) -> None:
    transport = Answering(Response(204, [], b""))
    await Relay(transport, STATEMENTS, RECOGNITION)(call(headers, key="k"))
    assert transport.requests[0].headers[:-1] == [(b"x-request-id", b"r-1"), (b"idempotency-key", b'"k"')]


async def test_every_write_has_a_key_and_no_two_the_same() -> None:
    transport = Answering(Response(204, [], b""))
    relay = Relay(transport, STATEMENTS, RECOGNITION)
    for _ in range(3):
        await relay(call())
    await relay(Call(method="GET", target=b"/users", request_id="r-2"))
    keys = [dict(request.headers).get(b"idempotency-key") for request in transport.requests]
    assert None not in keys[:3]
    assert (len(set(keys[:3])), keys[3]) == (3, None)


async def test_stream_is_handed_on_as_it_comes_and_closed_with_its_answer() -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    transport = Answering(Response(200, [*headers, (b"transfer-encoding", b"chunked")], b"abc"))
    watch = Call(method="GET", target=b"/changes", request_id="r-1", is_streamed=True, is_endless=True)
    answer = await Relay(transport, STATEMENTS, RECOGNITION)(watch)
    assert isinstance(answer, StreamedAnswer)
    assert (answer.status, answer.headers, answer.is_endless) == (200, headers, True)
    assert [chunk async for chunk in answer.chunks] == [b"a", b"b", b"c"]
    assert transport.open == 1
    await answer.chunks.aclose()
    assert transport.open == 0


async def test_a_restore_may_take_its_time_after_the_last_byte() -> None:
    """Crud says nothing while it fills the store, and commits whether or not somebody still waits."""

    async def restore_late(conversation: Conversation) -> None:
        await conversation.hear_head()
        while await conversation.hear_chunk():
            pass
        await asyncio.sleep(0.6)
        await conversation.say(OK)

    async with serve(restore_late) as crud:
        transport = KeepAliveTransport(crud.url, stream_idle_timeout=0.2)
        app = FastAPI()
        add_archive_routes(app, Relay(transport, STATEMENTS, RECOGNITION))
        lines = (b"content-type", b"application/x-ndjson")
        scope = http_scope("POST", "/import", [lines], **{PRINCIPAL: ADMINISTRATOR})
        answer = await ask(DirectDispatch(direct_routes(app), read_all), scope, body=[b"one\n", b"two\n"])
        assert (answer.status, answer.body) == (200, b"ok")
        await transport.aclose()


@pytest.mark.parametrize("status", [200, 201, 304, 404, 412, 503])
async def test_answer_is_handed_on_with_the_headers_that_are_a_callers_business(status: int) -> None:
    wanted = [
        (b"content-type", b"application/problem+json"),
        (b"etag", b'"7"'),
        (b"location", b"/users/ada"),
        (b"sarvanom-revision", b"7"),
        (b"retry-after", b"1"),
        (b"accept", b"application/json"),
    ]
    others = [(b"x-request-id", b"theirs"), (b"connection", b"close"), (b"content-length", b"3"), (b"server", b"crud")]
    relay = Relay(Answering(Response(status, [*others[:2], *wanted, *others[2:]], b"abc")), STATEMENTS, RECOGNITION)
    assert await relay(call()) == Answer(status, wanted, b"abc")


async def test_failure_of_the_hop_is_raised_as_it_is() -> None:
    failure = UpstreamFailed("broke off")
    with pytest.raises(UpstreamFailed) as caught:
        await Relay(Answering(failure), STATEMENTS, RECOGNITION)(call())
    assert caught.value is failure
