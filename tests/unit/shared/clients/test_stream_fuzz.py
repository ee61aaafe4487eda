"""Streams over a real socket to a service that cuts, damages and breaks off its answers at will."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.peers import CHUNKED, Conversation, serve

BODY = b"".join(b"%d\n" % number for number in range(20))
CHUNKS = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in BODY.splitlines(keepends=True))
FRAMES = (
    b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    CHUNKED + CHUNKS + b"0\r\nlate: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + CHUNKED + CHUNKS + b"0\r\n\r\n",
)


async def say_in_pieces(conversation: Conversation, raw: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted({cut % len(raw) for cut in cuts}), len(raw)] if raw else [0, 0]
    for start, end in pairwise(bounds):
        await conversation.say(raw[start:end])
        await asyncio.sleep(0)


async def read(url: str, lines: list[bytes]) -> tuple[bytes, bool]:
    """Return what came of the answer, and whether it looked whole."""

    async def body() -> AsyncIterator[bytes]:
        for line in lines:
            yield line
            await asyncio.sleep(0)

    came = bytearray()
    transport = KeepAliveTransport(url, stream_idle_timeout=0.1)
    try:
        with suppress(UpstreamFailed, UpstreamTimeout):
            async with transport.stream(Request("POST", b"/users"), body()) as response:
                async for chunk in response.chunks:
                    came += chunk
                return bytes(came), True
        return bytes(came), False
    finally:
        await transport.aclose()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(FRAMES),
    st.lists(st.integers(0, 400), max_size=6),
    st.none() | st.integers(0, 400),
    st.sampled_from(["wait", "close", "reset"]),
    st.lists(st.binary(max_size=20), max_size=5),
)
def test_answer_is_whole_or_an_error(
    frame: bytes, cuts: list[int], end: int | None, then: str, lines: list[bytes]
) -> None:
    raw = frame if end is None else frame[: end % len(frame)]
    heard: list[bytes] = []

    async def talk(conversation: Conversation) -> None:
        await conversation.hear_head()
        while chunk := await conversation.hear_chunk():
            heard.append(chunk)
        await say_in_pieces(conversation, raw, cuts)
        if then == "reset":
            conversation.reset()
        elif then == "wait":
            await conversation.wait_closed()

    async def run() -> None:
        async with serve(talk) as peer:
            came, looked_whole = await asyncio.wait_for(read(peer.url, lines), 5)
        assert b"".join(heard) == b"".join(lines)
        assert BODY.startswith(came)
        assert looked_whole is (raw == frame) or then == "reset"
        assert not looked_whole or came == BODY

    asyncio.run(run())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(FRAMES),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), min_size=1, max_size=3),
    st.lists(st.integers(0, 400), max_size=4),
)
def test_damaged_answer_ends_or_is_an_error(frame: bytes, damage: list[tuple[int, bytes]], cuts: list[int]) -> None:
    raw = bytearray(frame)
    for place, junk in damage:
        raw[place % len(raw) : place % len(raw) + 1] = junk

    async def talk(conversation: Conversation) -> None:
        await conversation.hear_head()
        await say_in_pieces(conversation, bytes(raw), cuts)

    async def run() -> None:
        async with serve(talk) as peer:
            await asyncio.wait_for(read(peer.url, [b"one", b"two"]), 5)

    asyncio.run(run())
