"""What every transport that carries requests itself promises of a stream, over a service that may do its worst."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from sarvanom.shared.clients.transport import Request, StreamedResponse, Transport
from sarvanom.shared.errors import InternalError, ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.peers import (
    CHUNKED,
    OK,
    Conversation,
    answering,
    closing_after,
    serve,
    unused_port,
)

type Connect = Callable[..., Transport]

GET = Request("GET", b"/changes")
POST = Request("POST", b"/users", [(b"content-type", b"application/x-ndjson")])


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(response: StreamedResponse) -> bytes:
    return b"".join([chunk async for chunk in response.chunks])


async def hear_chunked(conversation: Conversation) -> None:
    """Hear a request whose body is chunked, and answer with that body and its chunks' lengths."""
    await conversation.hear_head()
    heard = []
    while chunk := await conversation.hear_chunk():
        heard.append(chunk)
    body = b"".join(heard)
    await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await conversation.wait_closed()


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", 404, b"x"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", 304, b""),
        (CHUNKED + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nlate: 1\r\n\r\n", 200, b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\n", 200, b""),
    ],
)
async def test_answer_is_read_whatever_its_framing(connect: Connect, raw: bytes, status: int, body: bytes) -> None:
    async with serve(closing_after(raw)) as peer, connect(peer.url).stream(GET) as response:
        assert (response.status, await read(response)) == (status, body)


async def test_headers_are_lower_case_and_end_to_end(connect: Connect) -> None:
    hop = b"Connection: close\r\nTransfer-Encoding: chunked\r\n"
    raw = b'HTTP/1.1 200 OK\r\nETag: "1"\r\n' + hop + b"\r\n0\r\nX-Late: 1\r\n\r\n"
    async with serve(answering(raw)) as peer, connect(peer.url).stream(GET) as response:
        assert await read(response) == b""
        assert response.headers == [(b"etag", b'"1"')]
        assert (response.header(b"etag"), response.header(b"connection")) == (b'"1"', None)


async def test_head_is_there_before_the_body(connect: Connect) -> None:
    go = asyncio.Semaphore(0)

    async def say_in_parts(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        for part in (b"one", b"two", b""):
            await go.acquire()
            await conversation.say_chunk(part)

    async with serve(say_in_parts) as peer, connect(peer.url).stream(GET) as response:
        for part in (b"one", b"two"):
            go.release()
            assert await anext(response.chunks) == part
        go.release()
        assert await read(response) == b""


async def test_body_of_the_request_is_sent_with_its_length(connect: Connect) -> None:
    post = Request("POST", b"/users?a=%2F", [(b"x-a", b"1")], b"{}")
    async with serve(answering(OK)) as peer, connect(peer.url).stream(post) as response:
        assert await read(response) == b"ok"
    assert peer.requests[0].startswith(b"POST /users?a=%2F HTTP/1.1\r\n")
    assert b"\r\ncontent-length: 2\r\n" in peer.requests[0].lower()
    assert peer.requests[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "chunks", [[], [b""], [b"a", b"", b"bc"], [b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"], [b"x" * 300_000, b"y"]]
)
async def test_body_of_a_source_arrives_as_it_is(connect: Connect, chunks: list[bytes]) -> None:
    async with serve(hear_chunked) as peer, connect(peer.url).stream(POST, parts(*chunks)) as response:
        assert await read(response) == b"".join(chunks)
    assert peer.requests[0].lower().count(b"\r\ntransfer-encoding: chunked\r\n") == 1
    assert b"content-length" not in peer.requests[0].lower()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
        CHUNKED + b"5\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n",
        CHUNKED + b"2\r\nok\r\nzz\r\n",
    ],
)
async def test_answer_that_is_cut_short_never_looks_like_the_end(connect: Connect, raw: bytes) -> None:
    async with serve(closing_after(raw)) as peer, connect(peer.url).stream(GET) as response:
        for _ in range(2):
            with pytest.raises(UpstreamFailed):
                await read(response)


async def test_reset_is_not_the_end_of_an_answer_that_lasts_until_the_end(connect: Connect) -> None:
    async def reset(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.say(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await asyncio.sleep(0.02)
        conversation.reset()

    async with serve(reset) as peer, connect(peer.url).stream(GET) as response:
        with pytest.raises(UpstreamFailed):
            await read(response)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000,
    ],
)
async def test_service_that_answers_no_head_has_failed(connect: Connect, raw: bytes) -> None:
    async with serve(closing_after(raw)) as peer:
        with pytest.raises(UpstreamFailed):
            async with connect(peer.url).stream(GET):
                raise AssertionError


async def test_nothing_is_taken_from_the_body_if_the_service_cannot_be_reached(connect: Connect) -> None:
    body = parts(b"first")
    for url in (f"http://127.0.0.1:{await unused_port()}", "http://nowhere.invalid:80"):
        with pytest.raises(ServiceUnavailable):
            async with connect(url).stream(POST, body):
                raise AssertionError
    assert await anext(body) == b"first"


@pytest.mark.parametrize("error", [ValueError("no more"), TimeoutError(), UpstreamFailed("elsewhere"), OSError(5, "x")])
@pytest.mark.parametrize("before", [[], [b"some"]])
async def test_body_that_raises_is_never_a_whole_one(connect: Connect, error: Exception, before: list[bytes]) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def fail() -> AsyncIterator[bytes]:
        for chunk in before:
            yield chunk
        await asyncio.sleep(0.01)
        raise error

    async def hear_all(conversation: Conversation) -> None:
        await conversation.hear_head()
        try:
            heard.set_result(await conversation.reader.read())
        except ConnectionError:
            heard.set_result(b"")

    async with serve(hear_all) as peer:
        with pytest.raises(type(error)) as raised:
            async with connect(peer.url).stream(POST, fail()):
                raise AssertionError
        assert not (await heard).endswith(b"0\r\n\r\n")
    assert raised.value is error


async def test_cancelled_stream_takes_its_connection_and_its_body_along(connect: Connect) -> None:
    heard, gone, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"some"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def listen(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.hear_chunk()
        heard.set()
        await conversation.wait_closed()
        gone.set()

    async def post() -> None:
        async with transport.stream(POST, endless()):
            raise AssertionError

    async with serve(listen) as peer:
        transport = connect(peer.url)
        task = asyncio.create_task(post())
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()
        await asyncio.wait_for(gone.wait(), 5)


async def test_leaving_early_closes_the_connection(connect: Connect) -> None:
    gone = asyncio.Event()

    async def never_end(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        await conversation.say_chunk(b"one")
        await conversation.wait_closed()
        gone.set()

    async with serve(never_end) as peer:
        transport = connect(peer.url)
        with pytest.raises(KeyError):
            async with transport.stream(GET) as response:
                raise KeyError(await anext(response.chunks))
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(UpstreamFailed):
            await anext(response.chunks)


async def test_answer_that_was_not_read_does_not_look_empty_afterwards(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        async with connect(peer.url).stream(GET) as response:
            await asyncio.sleep(0.01)
        with pytest.raises(UpstreamFailed):
            await read(response)


async def test_cancelled_read_is_not_the_end(connect: Connect) -> None:
    async def begin(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        await conversation.wait_closed()

    async with serve(begin) as peer, connect(peer.url, stream_idle_timeout=0.3).stream(GET) as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(response), 0.01)
        with pytest.raises((UpstreamFailed, UpstreamTimeout)):
            await anext(response.chunks)


async def test_silence_before_and_in_the_answer_is_a_timeout(connect: Connect) -> None:
    async def begin(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        await conversation.say_chunk(b"one")
        await conversation.wait_closed()

    async with serve(Conversation.wait_closed) as peer:
        with pytest.raises(UpstreamTimeout):
            async with connect(peer.url, stream_idle_timeout=0.1).stream(GET):
                raise AssertionError
    async with serve(begin) as peer, connect(peer.url, stream_idle_timeout=0.1).stream(GET) as response:
        assert await anext(response.chunks) == b"one"
        with pytest.raises(UpstreamTimeout):
            await anext(response.chunks)


async def answer_late(conversation: Conversation) -> None:
    """Answer a body when three short silences have passed."""
    await conversation.hear_head()
    while await conversation.hear_chunk():
        pass
    await asyncio.sleep(0.6)
    await conversation.say(OK)
    await conversation.wait_closed()


async def test_patience_goes_before_the_bound_of_the_transport(connect: Connect) -> None:
    patient = Request("POST", b"/import", patience=5)
    async with serve(answer_late) as peer:
        transport = connect(peer.url, stream_idle_timeout=0.2)
        async with transport.stream(patient, parts(b"a", b"b")) as response:
            assert await read(response) == b"ok"
        with pytest.raises(UpstreamTimeout):
            async with transport.stream(POST, parts(b"a", b"b")):
                raise AssertionError


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_patience_has_an_end(connect: Connect, body: bytes) -> None:
    async with serve(Conversation.wait_closed) as peer:
        with pytest.raises(UpstreamTimeout):
            async with asyncio.timeout(4), connect(peer.url).stream(Request("POST", b"/", [], body, patience=0.1)):
                raise AssertionError
        with pytest.raises(UpstreamTimeout):
            async with (
                asyncio.timeout(4),
                connect(peer.url).stream(Request("POST", b"/", patience=0.1), parts(b"a", b"b")),
            ):
                raise AssertionError


async def test_patience_is_none_before_the_body_is_complete(connect: Connect) -> None:
    async def stop(conversation: Conversation) -> None:
        await conversation.hear_head()
        await asyncio.sleep(5)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 50_000

    async with serve(stop) as peer:
        transport = connect(peer.url, stream_idle_timeout=0.2)
        with pytest.raises(UpstreamTimeout):
            async with asyncio.timeout(4), transport.stream(Request("POST", b"/", patience=60), endless()):
                raise AssertionError


async def test_streams_leave_the_connections_to_requests_and_have_their_own_bound(connect: Connect) -> None:
    async def hold_changes(conversation: Conversation) -> None:
        request = await conversation.hear()
        await conversation.say(CHUNKED if b"/changes" in request else OK)
        await conversation.wait_closed()

    async with serve(hold_changes) as peer:
        transport = connect(peer.url, max_connections=1, max_streams=2)
        async with transport.stream(GET), transport.stream(GET):
            assert (await transport.send(Request("GET", b"/users/ada"))).body == b"ok"
            with pytest.raises(ServiceUnavailable):
                async with transport.stream(GET):
                    raise AssertionError
        async with transport.stream(GET):
            pass
    assert peer.connections == 4


async def test_consumer_that_does_not_read_holds_the_service_up(connect: Connect) -> None:
    size = 40_000_000
    said = 0

    async def flood(conversation: Conversation) -> None:
        nonlocal said
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while said < size:
            await conversation.say(b"x" * 100_000)
            said += 100_000

    async with serve(flood) as peer, connect(peer.url).stream(GET) as response:
        await asyncio.sleep(0.2)
        assert said < size / 2
        assert sum([len(chunk) async for chunk in response.chunks]) == size


@pytest.mark.parametrize(
    "request_",
    [
        Request("HEAD", b"/"),
        Request("GET", b"/a b"),
        Request("POST", b"/", [(b"transfer-encoding", b"chunked")]),
        Request("POST", b"/", [(b"content-length", b"5")]),
        Request("POST", b"/", [(b"a", b"b\r\nc: d")]),
        Request("POST", b"/", [], b"and another body"),
    ],
    ids=repr,
)
async def test_stream_that_says_more_than_it_means_is_not_sent(connect: Connect, request_: Request) -> None:
    async with serve(answering(OK)) as peer:
        with pytest.raises(InternalError):
            async with connect(peer.url).stream(request_, parts(b"a")):
                raise AssertionError
    assert peer.connections == 0


async def test_closed_transport_streams_nothing(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        transport = connect(peer.url)
        async with transport.stream(GET) as response:
            assert await read(response) == b"ok"
        await transport.aclose()
        with pytest.raises(ServiceUnavailable):
            async with transport.stream(GET):
                raise AssertionError
