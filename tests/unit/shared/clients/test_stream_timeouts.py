"""When a service counts as silent, and when it is somebody else whom all wait for."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import ServiceUnavailable, UpstreamTimeout
from tests.unit.shared.clients.peers import CHUNKED, OK, Conversation, serve

SHORT = 0.2
LONG = 0.5
GET = Request("GET", b"/changes")
POST = Request("POST", b"/users")


async def hear_all(conversation: Conversation) -> None:
    await conversation.hear_head()
    while await conversation.hear_chunk():
        pass
    await conversation.say(OK)


async def parts(pause: float, *chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(pause)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 50_000


async def test_slow_source_is_no_silence_of_the_service() -> None:
    async with serve(hear_all) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        async with transport.stream(POST, parts(LONG, b"a", b"b")) as response:
            assert await anext(response.chunks) == b"ok"
        await transport.aclose()


async def test_slow_reader_is_no_silence_of_the_service() -> None:
    async def say_much(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n")
        await conversation.say(b"x" * 5_000_000)
        await conversation.wait_closed()

    async with serve(say_much) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        async with transport.stream(GET) as response:
            await anext(response.chunks)
            await asyncio.sleep(LONG)
            assert sum([len(chunk) async for chunk in response.chunks]) > 4_000_000
        await transport.aclose()


async def test_service_that_waits_for_our_reader_is_not_silent() -> None:
    async def echo(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.say(CHUNKED)
        while chunk := await conversation.hear_chunk():
            await conversation.say_chunk(chunk)
        await conversation.say_chunk(b"")

    async with serve(echo) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        async with transport.stream(POST, parts(0, *[b"x" * 50_000] * 500)) as response:
            await asyncio.sleep(LONG)
            assert sum([len(chunk) async for chunk in response.chunks]) == 25_000_000
        await transport.aclose()


async def test_silence_after_the_body_is_a_timeout() -> None:
    async def listen(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.wait_closed()

    async with serve(listen) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        with pytest.raises(UpstreamTimeout):
            async with transport.stream(POST, parts(0, b"a")):
                raise AssertionError
        await transport.aclose()


@pytest.mark.parametrize("answer", [b"", CHUNKED])
async def test_service_that_stops_reading_is_a_timeout(answer: bytes) -> None:
    async def stop(conversation: Conversation) -> None:
        await conversation.hear_head()
        await conversation.say(answer)
        await asyncio.sleep(5)

    async def post() -> None:
        async with transport.stream(POST, endless()) as response:
            await anext(response.chunks)

    async with serve(stop) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        with pytest.raises(UpstreamTimeout):
            await asyncio.wait_for(post(), 4)
        await transport.aclose()


async def test_service_that_reads_slowly_is_not_silent() -> None:
    async def read_slowly(conversation: Conversation) -> None:
        conversation.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        await conversation.hear_head()
        for _ in range(16):
            await conversation.reader.readexactly(500_000)
            await asyncio.sleep(SHORT / 4)
        await conversation.say(OK)
        await conversation.wait_closed()

    async with serve(read_slowly) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        async with transport.stream(Request("POST", b"/", [], b"x" * 8_000_000)) as response:
            assert await anext(response.chunks) == b"ok"
        await transport.aclose()


async def test_every_byte_of_the_service_breaks_its_silence() -> None:
    async def trickle(conversation: Conversation) -> None:
        await conversation.hear()
        for byte in CHUNKED + b"2\r\nok\r\n0\r\n\r\n":
            await conversation.say(bytes([byte]))
            await asyncio.sleep(SHORT / 50)

    async with serve(trickle) as peer:
        transport = KeepAliveTransport(peer.url, stream_idle_timeout=SHORT)
        async with transport.stream(GET) as response:
            assert b"".join([chunk async for chunk in response.chunks]) == b"ok"
        await transport.aclose()


async def test_connection_that_does_not_come_about_means_that_nothing_was_sent() -> None:
    transport = KeepAliveTransport("http://192.0.2.1:9", connect_timeout=0.02)
    with pytest.raises(ServiceUnavailable):
        async with transport.stream(GET):
            raise AssertionError
    await transport.aclose()
