"""Streams of the gateway's hop, which go both ways at once."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import InternalError, ServiceUnavailable, UpstreamFailed
from tests.unit.shared.clients.peers import CHUNKED, OK, Conversation, answering, serve

POST = Request("POST", b"/users")
BLOCK = 50_000
BLOCKS = 400


async def echo(conversation: Conversation) -> None:
    """Answer each chunk with itself, at once, through buffers that hold little."""
    for side in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        conversation.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, side, 65_536)
    await conversation.hear_head()
    await conversation.say(CHUNKED)
    while chunk := await conversation.hear_chunk():
        await conversation.say_chunk(chunk)
    await conversation.say_chunk(b"")


async def post(transport: KeepAliveTransport, body: AsyncIterator[bytes]) -> bytes:
    """Return the whole answer."""
    async with transport.stream(POST, body) as response:
        return b"".join([chunk async for chunk in response.chunks])


class Source:
    """A body that counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = False

    async def blocks(self, number: int) -> AsyncIterator[bytes]:
        try:
            for _ in range(number):
                self.taken += BLOCK
                yield b"x" * BLOCK
        finally:
            self.closed = True


async def test_service_answers_line_by_line_while_the_body_is_sent() -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while line := await lines.get():
            yield line

    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(POST, body()) as response:
            assert response.status == 200
            for line in (b"1\n", b"22\n", b"333\n"):
                await lines.put(line)
                assert await anext(response.chunks) == line
            await lines.put(b"")
            with pytest.raises(StopAsyncIteration):
                await anext(response.chunks)
        await transport.aclose()


async def test_much_goes_both_ways_through_little() -> None:
    source = Source()
    read = most = 0
    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(POST, source.blocks(BLOCKS)) as response:
            async for chunk in response.chunks:
                read += len(chunk)
                most = max(most, source.taken - read)
        await transport.aclose()
    assert read == BLOCK * BLOCKS
    assert most < 8_000_000


async def test_nothing_more_is_taken_while_nobody_reads_the_answer() -> None:
    source = Source()
    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(POST, source.blocks(BLOCKS)) as response:
            await asyncio.sleep(0.2)
            assert source.taken < BLOCK * BLOCKS / 2
            assert sum([len(chunk) async for chunk in response.chunks]) == BLOCK * BLOCKS
        await transport.aclose()


async def test_body_is_taken_no_faster_than_the_service_reads() -> None:
    source = Source()
    read_on = asyncio.Event()

    async def read_late(conversation: Conversation) -> None:
        await conversation.hear_head()
        await read_on.wait()
        while await conversation.hear_chunk():
            pass
        await conversation.say(OK)

    async with serve(read_late) as peer:
        transport = KeepAliveTransport(peer.url)
        task = asyncio.create_task(post(transport, source.blocks(2 * BLOCKS)))
        await asyncio.sleep(0.2)
        assert source.taken < BLOCK * BLOCKS
        read_on.set()
        assert await task == b"ok"
        await transport.aclose()
    assert source.taken == 2 * BLOCK * BLOCKS


async def test_early_answer_ends_the_body() -> None:
    async def refuse(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await conversation.wait_closed()

    source = Source()
    async with serve(refuse) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(POST, source.blocks(1_000_000)) as response:
            assert response.status == 413
            assert b"".join([chunk async for chunk in response.chunks]) == b"big"
        assert source.closed
        await transport.aclose()


async def test_service_that_dies_midway_ends_both_ways() -> None:
    source = Source()

    async def die(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.say(CHUNKED)
        await conversation.say_chunk(await conversation.hear_chunk())
        conversation.reset()

    async with serve(die) as peer:
        transport = KeepAliveTransport(peer.url)
        with pytest.raises(UpstreamFailed):
            await post(transport, source.blocks(1_000_000))
        assert source.closed
        await transport.aclose()


async def test_body_that_raises_in_the_answer_is_told_to_its_reader_once() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.sleep(0.01)
        raise KeyError("lost")

    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(POST, body()) as response:
            assert await anext(response.chunks) == b"some"
            with pytest.raises(KeyError):
                await anext(response.chunks)
        with pytest.raises(KeyError):
            async with transport.stream(POST, body()):
                await asyncio.sleep(0.05)
        await transport.aclose()


async def test_body_that_is_cancelled_from_within_breaks_off() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"some"
        raise asyncio.CancelledError

    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        with pytest.raises(UpstreamFailed):
            await post(transport, body())
        await transport.aclose()


async def test_cancelled_read_takes_nothing() -> None:
    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        lines: asyncio.Queue[bytes] = asyncio.Queue()

        async def body() -> AsyncIterator[bytes]:
            while line := await lines.get():
                yield line

        async with transport.stream(POST, body()) as response:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(response.chunks)
            await lines.put(b"still here")
            assert await anext(response.chunks) == b"still here"
        await transport.aclose()


async def test_stream_has_one_reader() -> None:
    async def begin(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        await conversation.wait_closed()

    async with serve(begin) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(Request("GET", b"/")) as response:
            reading = asyncio.ensure_future(anext(response.chunks))
            await asyncio.sleep(0)
            with pytest.raises(InternalError):
                await anext(response.chunks)
            await transport.aclose()
            with pytest.raises(UpstreamFailed):
                await reading


async def test_source_that_never_waits_gives_others_a_turn() -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        ticking = asyncio.create_task(tick())
        async with transport.stream(POST, Source().blocks(100)) as response:
            async for _ in response.chunks:
                pass
        ticking.cancel()
        await transport.aclose()
    assert turns > 50


@pytest.mark.parametrize("tail", [b"H", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"\0"])
async def test_what_follows_the_answer_is_nobodys(tail: bytes) -> None:
    async with serve(answering(OK + tail)) as peer:
        transport = KeepAliveTransport(peer.url)
        for _ in range(2):
            async with transport.stream(Request("GET", b"/")) as response:
                assert b"".join([chunk async for chunk in response.chunks]) == b"ok"
        await transport.aclose()
    assert peer.connections == 2


async def test_bytes_after_the_end_close_the_connection() -> None:
    closed = asyncio.Event()

    async def blurt(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        await asyncio.sleep(0.01)
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await conversation.wait_closed()
        closed.set()

    async with serve(blurt) as peer:
        transport = KeepAliveTransport(peer.url)
        async with transport.stream(Request("GET", b"/")) as response:
            await asyncio.wait_for(closed.wait(), 5)
            assert b"".join([chunk async for chunk in response.chunks]) == b"ok"
        await transport.aclose()


async def test_many_watchers_of_one_service() -> None:
    go = asyncio.Event()

    async def announce(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(CHUNKED)
        await go.wait()
        await conversation.say_chunk(b"news")
        await conversation.wait_closed()

    async def watch(transport: KeepAliveTransport) -> bytes:
        async with transport.stream(Request("GET", b"/changes")) as response:
            watching.release()
            return await anext(response.chunks)

    watching = asyncio.Semaphore(0)
    async with serve(announce) as peer:
        transport = KeepAliveTransport(peer.url)
        tasks = [asyncio.create_task(watch(transport)) for _ in range(200)]
        for _ in tasks:
            await watching.acquire()
        go.set()
        assert set(await asyncio.gather(*tasks)) == {b"news"}
        await transport.aclose()


async def test_close_while_a_stream_connects() -> None:
    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url)
        posting = asyncio.create_task(post(transport, Source().blocks(1)))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(ServiceUnavailable):
            await posting
