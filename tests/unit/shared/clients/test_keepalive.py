"""What the gateway's hop does with its connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed
from tests.unit.shared.clients.peers import OK, Conversation, answering, closing_after, serve, unused_port

type Connect = Callable[..., KeepAliveTransport]

GET = Request("GET", b"/users/ada")
EVIL = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    opened: list[KeepAliveTransport] = []

    def connect(url: str, **options: Any) -> KeepAliveTransport:
        opened.append(KeepAliveTransport(url, **{"timeout": 5.0, **options}))
        return opened[-1]

    yield connect
    for transport in opened:
        await transport.aclose()


async def hold(conversation: Conversation) -> None:
    """Hear a request and never answer."""
    await conversation.hear()
    await conversation.wait_closed()


@pytest.mark.parametrize("extra", [EVIL, EVIL[:10], b"\0", b"H"])
async def test_connection_with_bytes_after_the_answer_is_dropped(connect: Connect, extra: bytes) -> None:
    async with serve(answering(OK + extra)) as peer:
        transport = connect(peer.url)
        assert [(await transport.send(GET)).body for _ in range(3)] == [b"ok"] * 3
    assert peer.connections == 3


@pytest.mark.parametrize(
    "framing", [b"content-length: 0", b"content-length: 2", b"transfer-encoding: chunked", b"x: y"]
)
async def test_body_in_answer_to_head_is_dropped_with_its_connection(connect: Connect, framing: bytes) -> None:
    async def answer_with_body(conversation: Conversation) -> None:
        await conversation.hear()
        answer = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        await conversation.say(answer if conversation.number == 1 else OK)
        await conversation.wait_closed()

    async with serve(answer_with_body) as peer:
        transport = connect(peer.url)
        assert (await transport.send(Request("HEAD", b"/x"))).body == b""
        assert (await transport.send(GET)).body == b"ok"
    assert peer.connections == 2


async def test_bytes_on_an_idle_connection_end_it(connect: Connect) -> None:
    gone = asyncio.Event()

    async def blurt(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        if conversation.number == 1:
            await asyncio.sleep(0.005)
            await conversation.say(EVIL)
            await conversation.wait_closed()
            gone.set()

    async with serve(blurt) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        await gone.wait()
        assert (await transport.send(GET)).body == b"ok"
    assert peer.connections == 2


@pytest.mark.parametrize(
    "raw", [b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 101 Go\r\nupgrade: x\r\n\r\n"]
)
async def test_answer_in_another_protocol_fails(connect: Connect, raw: bytes) -> None:
    async with serve(answering(raw)) as peer:
        with pytest.raises(UpstreamFailed):
            await connect(peer.url).send(GET)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, gzip"])
async def test_coded_transfer_that_we_cannot_read_fails(connect: Connect, coding: bytes) -> None:
    async with serve(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: %s\r\n\r\n" % coding)) as peer:
        with pytest.raises(UpstreamFailed):
            await connect(peer.url).send(GET)


async def test_connection_closed_while_idle_is_not_used(connect: Connect) -> None:
    async with serve(closing_after(OK)) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        await asyncio.sleep(0.01)
        assert (await transport.send(Request("POST", b"/users", [], b"{}"))).body == b"ok"
    assert peer.connections == 2


async def close_on_the_second(conversation: Conversation) -> None:
    """Answer one request of the first connection, and close when the next one has come."""
    await conversation.hear()
    await conversation.say(OK)
    await conversation.hear()
    if conversation.number > 1:
        await conversation.say(OK)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_reading_is_sent_again_when_a_reused_connection_was_stale(connect: Connect, method: str) -> None:
    async with serve(close_on_the_second) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        assert (await transport.send(Request(method, b"/x"))).status == 200
    assert (peer.connections, len(peer.requests)) == (2, 3)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_writing_is_never_sent_again(connect: Connect, method: str) -> None:
    async with serve(close_on_the_second) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        with pytest.raises(UpstreamFailed):
            await transport.send(Request(method, b"/x"))
    assert len(peer.requests) == 2


async def test_reading_is_sent_again_only_once(connect: Connect) -> None:
    async def close_but_once(conversation: Conversation) -> None:
        await conversation.hear()
        if conversation.number == 1:
            await conversation.say(OK)
            await conversation.hear()

    async with serve(close_but_once) as peer:
        transport = connect(peer.url)
        await transport.send(GET)
        with pytest.raises(UpstreamFailed):
            await transport.send(GET)
    assert len(peer.requests) == 3


async def test_second_try_gets_a_fresh_connection_even_if_the_pool_is_full(connect: Connect) -> None:
    async def answer_one_close_on_the_next(conversation: Conversation) -> None:
        await conversation.hear()
        await asyncio.sleep(0.005)
        await conversation.say(OK)
        await conversation.hear()
        if conversation.number > 2:
            await conversation.say(OK)

    async with serve(answer_one_close_on_the_next) as peer:
        transport = connect(peer.url, max_connections=2)
        await asyncio.gather(transport.send(GET), transport.send(GET))
        assert (await transport.send(GET)).body == b"ok"
    assert peer.connections == 3


async def test_last_used_connection_is_used_first(connect: Connect) -> None:
    async def name_yourself(conversation: Conversation) -> None:
        while True:
            request = await conversation.hear()
            if b"/slow" in request:
                await asyncio.sleep(0.01)
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % conversation.number)

    async with serve(name_yourself) as peer:
        transport = connect(peer.url)
        slow = asyncio.create_task(transport.send(Request("GET", b"/slow")))
        await asyncio.sleep(0)
        fast = await transport.send(GET)
        assert {fast.body, (await slow).body} == {b"1", b"2"}
        assert [(await transport.send(GET)).body for _ in range(3)] == [slow.result().body] * 3


async def test_waiters_are_served_in_turn(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        transport = connect(peer.url, max_connections=1)
        order: list[int] = []

        async def send(number: int) -> None:
            await transport.send(GET)
            order.append(number)

        await asyncio.gather(*(send(number) for number in range(10)))
    assert order == list(range(10))
    assert peer.connections == 1


async def test_waiter_without_a_turn_before_its_deadline_was_not_sent(connect: Connect) -> None:
    async with serve(hold) as peer:
        transport = connect(peer.url, max_connections=1, timeout=0.03)
        first = asyncio.create_task(transport.send(GET))
        await asyncio.sleep(0.002)
        waiting = [asyncio.create_task(transport.send(GET)) for _ in range(2)]
        await asyncio.sleep(0.002)
        waiting[0].cancel()
        outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert len(peer.requests) <= 2
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert all(isinstance(one, Exception) for one in (outcomes[0], outcomes[2]))


async def test_waiter_opens_its_own_connection_in_place_of_a_dropped_one(connect: Connect) -> None:
    async with serve(closing_after(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")) as peer:
        transport = connect(peer.url, max_connections=1)
        await asyncio.gather(*(transport.send(GET) for _ in range(5)))
    assert peer.connections == 5


CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("answer", [OK, CLOSING])
async def test_waiter_cancelled_in_its_turn_passes_it_on(connect: Connect, answer: bytes) -> None:
    async with serve(answering(answer)) as peer:
        transport = connect(peer.url, max_connections=1)

        async def send_and_cancel_the_next() -> None:
            await transport.send(GET)
            second.cancel()

        first = asyncio.create_task(send_and_cancel_the_next())
        second = asyncio.create_task(transport.send(GET))
        third = asyncio.create_task(transport.send(GET))
        await first
        assert (await third).body == b"ok"
        assert second.cancelled()
    assert len(peer.requests) == 2


async def test_failed_connect_frees_its_slot(connect: Connect) -> None:
    transport = connect(f"http://127.0.0.1:{await unused_port()}", max_connections=1)
    outcomes = await asyncio.gather(*(transport.send(GET) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in outcomes] == [ServiceUnavailable] * 5


async def test_idle_connections_are_closed_in_time(connect: Connect) -> None:
    gone: asyncio.Queue[int] = asyncio.Queue()

    async def answer_late(conversation: Conversation) -> None:
        await conversation.hear()
        await asyncio.sleep(0.01 * (conversation.number - 1))
        await conversation.say(OK)
        await conversation.wait_closed()
        await gone.put(conversation.number)

    async with serve(answer_late) as peer:
        transport = connect(peer.url, idle_timeout=0.02)
        await asyncio.gather(transport.send(GET), transport.send(GET))
        async with asyncio.timeout(5):
            assert {await gone.get(), await gone.get()} == {1, 2}
        assert (await transport.send(GET)).body == b"ok"
    assert peer.connections == 3


async def test_answer_before_the_body_was_sent_ends_the_connection(connect: Connect) -> None:
    async def refuse_at_once(conversation: Conversation) -> None:
        await conversation.reader.readuntil(b"\r\n\r\n")
        await conversation.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(1)

    async with serve(refuse_at_once) as peer:
        transport = connect(peer.url)
        response = await transport.send(Request("POST", b"/x", [], b"x" * 50_000_000))
        assert response.status == 413
        assert (await transport.send(Request("POST", b"/x"))).status == 413
    assert peer.connections == 2


async def test_close_ends_what_is_under_way_and_what_waits(connect: Connect) -> None:
    async with serve(hold) as peer:
        transport = connect(peer.url, max_connections=1)
        first = asyncio.create_task(transport.send(GET))
        second = asyncio.create_task(transport.send(GET))
        while not peer.requests:  # noqa: ASYNC110 (the peer has nothing to wait on)
            await asyncio.sleep(0.001)
        await transport.aclose()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(one) for one in outcomes] == [UpstreamFailed, ServiceUnavailable]
        with pytest.raises(ServiceUnavailable):
            await transport.send(GET)


async def test_close_while_connecting(connect: Connect) -> None:
    async with serve(answering(OK)) as peer:
        transport = connect(peer.url)
        sending = asyncio.create_task(transport.send(GET))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(ServiceUnavailable):
            await sending


async def test_ipv6_address_and_default_port() -> None:
    transport = KeepAliveTransport("http://[::1]")
    with pytest.raises(ServiceUnavailable):
        await transport.send(GET)
    await transport.aclose()


@pytest.mark.parametrize("url", ["https://x", "http://x/path", "http://user@x", "http://x:notaport"])
def test_url_must_be_a_plain_origin(url: str) -> None:
    with pytest.raises(ValueError):
        KeepAliveTransport(url)


def test_url_that_asks_for_tls_needs_a_context() -> None:
    with pytest.raises(ValueError, match="needs a context of TLS"):
        KeepAliveTransport("https://127.0.0.1:1")
