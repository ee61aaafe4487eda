"""What every transport that carries requests itself promises, over a service that may do its worst."""

import asyncio
from collections.abc import Callable

import pytest

from sarvanom.shared.clients.transport import Headers, Request, Transport
from sarvanom.shared.errors import InternalError, ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.peers import OK, Conversation, answering, closing_after, serve, unused_port

type Connect = Callable[..., Transport]

GET = Request("GET", b"/users/ada")


async def test_request_arrives_as_it_was_made(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        headers: Headers = [(b"content-type", b"application/json"), (b"x-twice", b"1"), (b"x-twice", b"2")]
        await connect(peer.url).send(Request("POST", b"/users?a=%2F", headers, b'{"a": 1}'))
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert head.startswith(b"POST /users?a=%2F HTTP/1.1\r\n")
    assert {b"content-length: 8", b"content-type: application/json", b"x-twice: 1", b"x-twice: 2"} <= set(lines)
    assert f"host: 127.0.0.1:{peer.port}".encode() in lines
    assert body == b'{"a": 1}'


@pytest.mark.parametrize(
    "target", [b"/a/../b", b"//a", b"/@cf/meta/llama;v=1", b"/bedrock/*/x", b"/a%2fb|c?q='{}'", b"/?"]
)
async def test_target_is_not_touched(connect: Connect, target: bytes) -> None:
    async with serve(answering(OK)) as peer:
        await connect(peer.url).send(Request("GET", target))
    assert peer.requests[0].split(b" ")[1] == target


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_write_without_body_says_so(connect: Connect, method: str) -> None:
    async with serve(answering(OK)) as peer:
        await connect(peer.url).send(Request(method, b"/x"))
    assert b"\r\ncontent-length: 0\r\n" in peer.requests[0].lower()


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", 404, b"x"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\ncontent-length: 7\r\n\r\n', 304, b""),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nlate: 1\r\n\r\n",
            200,
            b"abc",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n", 307, b""),
    ],
)
async def test_connection_carries_one_answer_after_the_other(
    connect: Connect, raw: bytes, status: int, body: bytes
) -> None:
    async with serve(answering(raw, OK)) as peer:
        transport = connect(peer.url)
        first = await transport.send(GET)
        second = await transport.send(GET)
    assert (first.status, first.body, second.body) == (status, body, b"ok")
    assert peer.connections == 1


async def test_headers_are_lower_case_and_end_to_end(connect: Connect) -> None:
    hop = b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n"
    raw = b'HTTP/1.1 200 OK\r\nETag: "1"\r\n' + hop + b"\r\n0\r\n\r\n"
    async with serve(answering(raw)) as peer:
        response = await connect(peer.url).send(GET)
    assert response.headers == [(b"etag", b'"1"')]
    assert response.header(b"etag") == b'"1"'
    assert response.header(b"connection") is None


async def test_body_is_not_decompressed(connect: Connect) -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"
    async with serve(answering(raw)) as peer:
        assert (await connect(peer.url).send(GET)).body == b"\x1f\x8b\x08"


async def test_answer_to_head_has_no_body(connect: Connect) -> None:
    async with serve(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", OK)) as peer:
        transport = connect(peer.url)
        first = await transport.send(Request("HEAD", b"/x"))
        second = await transport.send(GET)
    assert (first.body, first.header(b"content-length"), second.body) == (b"", b"2", b"ok")
    assert peer.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_answer_that_ends_with_the_connection(connect: Connect, raw: bytes) -> None:
    async with serve(closing_after(raw)) as peer:
        transport = connect(peer.url)
        answers = [await transport.send(GET) for _ in range(2)]
    assert [one.body for one in answers] == [b"ok", b"ok"]
    assert peer.connections == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_answer_that_breaks_off(connect: Connect, raw: bytes) -> None:
    async with serve(closing_after(raw)) as peer:
        with pytest.raises(UpstreamFailed):
            await connect(peer.url).send(GET)
    assert peer.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\1\2\3\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ],
)
async def test_answer_that_is_no_http(connect: Connect, raw: bytes) -> None:
    async with serve(answering(raw)) as peer:
        with pytest.raises(UpstreamFailed):
            await connect(peer.url).send(GET)


async def test_answer_larger_than_the_bound(connect: Connect) -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000
    async with serve(answering(raw)) as peer:
        with pytest.raises(UpstreamFailed):
            await connect(peer.url, max_response_bytes=50_000).send(GET)
        assert len((await connect(peer.url, max_response_bytes=101_000).send(GET)).body) == 100_000


async def test_large_body_arrives_whole(connect: Connect) -> None:
    body = bytes(range(256)) * 20_000
    async with serve(answering(OK)) as peer:
        await connect(peer.url).send(Request("PUT", b"/x", [], body))
    assert peer.requests[0].endswith(body)


async def test_refused_connection_means_that_nothing_was_sent(connect: Connect) -> None:
    with pytest.raises(ServiceUnavailable):
        await connect(f"http://127.0.0.1:{await unused_port()}").send(GET)


async def test_unknown_host_means_that_nothing_was_sent(connect: Connect) -> None:
    with pytest.raises(ServiceUnavailable):
        await connect("http://nowhere.invalid:80").send(GET)


async def test_deadline_holds_for_silence_and_for_drops(connect: Connect) -> None:
    async def trickle(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not conversation.reader.at_eof():
            await conversation.say(b"x")
            await asyncio.sleep(0.005)

    async with serve(trickle) as peer:
        with pytest.raises(UpstreamTimeout):
            await connect(peer.url, timeout=0.2).send(GET)
    async with serve(Conversation.wait_closed) as peer:
        with pytest.raises(UpstreamTimeout):
            await connect(peer.url, timeout=0.2).send(GET)


async def test_cancelled_request_takes_its_connection_along(connect: Connect) -> None:
    heard, gone = asyncio.Event(), asyncio.Event()

    async def hold_the_first(conversation: Conversation) -> None:
        await conversation.hear()
        if conversation.number == 1:
            heard.set()
            await conversation.wait_closed()
            gone.set()
        await conversation.say(OK)

    async with serve(hold_the_first) as peer:
        transport = connect(peer.url)
        task = asyncio.create_task(transport.send(GET))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()
        assert (await transport.send(GET)).body == b"ok"


async def test_requests_at_once_get_their_own_answers(connect: Connect) -> None:
    async def echo(conversation: Conversation) -> None:
        while True:
            target = (await conversation.hear()).split(b" ")[1]
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(target), target))

    targets = [b"/%d" % number for number in range(100)]
    async with serve(echo) as peer:
        transport = connect(peer.url, max_connections=4)
        answers = await asyncio.gather(*(transport.send(Request("GET", target)) for target in targets))
    assert [one.body for one in answers] == targets
    assert peer.connections <= 4


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", b"/a b"),
        Request("GET", b"/a\r\nhost: x"),
        Request("GET", b"a"),
        Request("GET", b"/\0"),
        Request("GET", b""),
        Request("GE T", b"/"),
        Request("GET\r\n", b"/"),
        Request("", b"/"),
        Request("GET", b"/", [(b"a", b"b\r\nc: d")]),
        Request("GET", b"/", [(b"a", b"b\nc")]),
        Request("GET", b"/", [(b"a", b"b\rc")]),
        Request("GET", b"/", [(b"a", b"b\0c")]),
        Request("GET", b"/", [(b"a b", b"c")]),
        Request("GET", b"/", [(b"a\r\nb", b"c")]),
        Request("GET", b"/", [(b"a:b", b"c")]),
        Request("GET", b"/", [(b"", b"c")]),
        Request("GET", b"/", [(b"Accept", b"*/*")]),
        Request("GET", b"/", [(b"content-length", b"5")]),
        Request("POST", b"/", [(b"transfer-encoding", b"chunked")]),
        Request("GET", b"/", [(b"connection", b"close")]),
        Request("GET", b"/", [(b"host", b"elsewhere")]),
    ],
    ids=repr,
)
async def test_request_that_says_more_than_it_means_is_not_sent(connect: Connect, request_: Request) -> None:
    async with serve(answering(OK)) as peer:
        with pytest.raises(InternalError):
            await connect(peer.url).send(request_)
    assert peer.connections == 0


async def test_close_is_idempotent(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        await transport.aclose()
        await transport.aclose()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "x", "http://x?y", "http://x#y"])
def test_url_must_be_one(connect: Connect, url: str) -> None:
    with pytest.raises(ValueError, match="is no URL of the form"):
        connect(url)
