"""Sending: whole answers, streams as fast as they are read, and streams that end when the service stops."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from sarvanom.shared.errors import UpstreamFailed
from sarvanom.web import sending
from sarvanom.web.calls import StreamedAnswer
from sarvanom.web.pace import Pace
from sarvanom.web.proofs import REFUTATION, Refutation
from sarvanom.web.sending import CONNECTION, STREAMS, EndlessStreams, send_answer
from tests.unit.web.asgi import http_scope


class Connection:
    """What a server's transport tells and is told."""

    def __init__(self) -> None:
        self.aborted = 0
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted += 1


class Reader:
    """Takes what is sent, until it has so many messages; `moved` is set by each."""

    def __init__(self, room: int = 100) -> None:
        self.messages: list[Message] = []
        self.room = room
        self.gate = asyncio.Event()
        self.moved = asyncio.Event()

    async def __call__(self, message: Message) -> None:
        if len(self.messages) >= self.room:
            await self.gate.wait()
        self.messages.append(message)
        self.moved.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def is_whole(self) -> bool:
        return self.messages[-1]["type"] == "http.response.body" and not self.messages[-1].get("more_body")


class Source:
    """Chunks that note how they ended; after the last comes nothing more, or `error`."""

    def __init__(self, *chunks: bytes, error: Exception | None = None, endless: bool = False) -> None:
        self.chunks = chunks
        self.error = error
        self.endless = endless
        self.closed = 0

    async def make(self) -> AsyncGenerator[bytes]:
        try:
            for chunk in self.chunks:
                yield chunk
            if self.error is not None:
                raise self.error
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.closed += 1

    def answer(self) -> StreamedAnswer:
        return StreamedAnswer(200, [(b"a", b"b")], self.make(), is_endless=self.endless)


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def streams() -> EndlessStreams:
    return EndlessStreams()


@pytest.fixture
def scope(connection: Connection, streams: EndlessStreams) -> dict[str, Any]:
    return {**http_scope(), CONNECTION: connection, STREAMS: streams}


async def test_stream_is_sent_chunk_by_chunk(scope: dict[str, Any]) -> None:
    reader, source = Reader(), Source(b"a", b"b")
    await send_answer(scope, reader, source.answer())
    assert [message.get("body") for message in reader.messages] == [None, b"a", b"b", b""]
    assert (reader.is_whole, source.closed) == (True, 1)


async def test_head_of_a_stream_has_no_body(scope: dict[str, Any]) -> None:
    reader, source = Reader(), Source(b"a", endless=True)
    await send_answer({**scope, "method": "HEAD"}, reader, source.answer())
    assert [message["type"] for message in reader.messages] == ["http.response.start", "http.response.body"]
    assert (reader.is_whole, reader.body) == (True, b"")


async def test_reader_who_is_gone_ends_the_stream(scope: dict[str, Any], connection: Connection) -> None:
    reader, source = Reader(), Source(b"a", b"b", endless=True)
    connection.closing = True
    with pytest.raises(ClientDisconnect):
        await send_answer(scope, reader, source.answer())
    assert (reader.body, source.closed) == (b"a", 1)


async def test_slow_reader_is_cut_off(
    scope: dict[str, Any], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SLOW_READER_SECONDS", 0.02)
    reader, source = Reader(room=2), Source(b"a", b"b", endless=True)
    with pytest.raises(ClientDisconnect):
        await send_answer(scope, reader, source.answer())
    assert (connection.aborted, source.closed) == (1, 1)


@pytest.mark.parametrize(("seconds", "taken"), [(25.0, b"abc"), (15.0, b"abcd")])
async def test_reader_who_does_not_keep_the_pace_is_cut_off(
    scope: dict[str, Any], connection: Connection, seconds: float, taken: bytes
) -> None:
    """A byte now and then is too little, where it holds something up."""
    clock = 0.0

    class Trickling(Reader):
        async def __call__(self, message: Message) -> None:
            nonlocal clock
            clock += seconds if message.get("more_body") else 0.0
            await super().__call__(message)

    reader, source = Trickling(), Source(b"a", b"b", b"c", b"d")
    answer = source.answer()._replace(pace=Pace(1, 60, lambda: clock))
    if len(taken) == len(source.chunks):
        await send_answer(scope, reader, answer)
    else:
        with pytest.raises(ClientDisconnect):
            await send_answer(scope, reader, answer)
    assert (reader.body, source.closed, connection.aborted) == (taken, 1, int(not reader.is_whole))


async def begin(scope: dict[str, Any], reader: Reader, source: Source) -> asyncio.Task[None]:
    task = asyncio.create_task(send_answer(scope, reader, source.answer()))
    while reader.body != b"".join(source.chunks):
        reader.moved.clear()
        await reader.moved.wait()
    return task


async def test_stop_ends_endless_streams_as_if_by_themselves(scope: dict[str, Any], streams: EndlessStreams) -> None:
    reader, source = Reader(), Source(b"a", endless=True)
    task = await begin(scope, reader, source)
    streams.stop()
    await task
    assert (reader.is_whole, source.closed, streams.tasks) == (True, 1, set())


async def test_stream_that_begins_while_the_service_stops_ends_at_once(
    scope: dict[str, Any], streams: EndlessStreams
) -> None:
    streams.stop()
    reader, source = Reader(), Source(endless=True)
    await send_answer(scope, reader, source.answer())
    assert reader.is_whole


async def test_stop_does_not_wait_for_a_reader(
    scope: dict[str, Any], streams: EndlessStreams, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LAST_SECONDS", 0.02)
    reader, source = Reader(room=2), Source(b"a", endless=True)
    task = await begin(scope, reader, source)
    streams.stop()
    await asyncio.sleep(0.05)
    assert connection.aborted == 1
    reader.gate.set()
    await task


async def test_stop_leaves_other_streams_to_their_end(scope: dict[str, Any], streams: EndlessStreams) -> None:
    streams.stop()
    reader, source = Reader(), Source(b"a", b"b")
    await send_answer(scope, reader, source.answer())
    assert reader.body == b"ab"


async def test_other_cancellation_is_none_of_its_business(scope: dict[str, Any]) -> None:
    reader, source = Reader(), Source(b"a", endless=True)
    task = await begin(scope, reader, source)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (reader.is_whole, source.closed) == (False, 1)


async def test_endless_stream_that_breaks_off_ends(scope: dict[str, Any]) -> None:
    """Its reader resumes, as after any end."""
    reader = Reader()
    source = Source(b"a", error=UpstreamFailed("crud is gone"), endless=True)
    await send_answer(scope, reader, source.answer())
    assert (reader.body, reader.is_whole) == (b"a", True)


async def test_stream_whose_reader_is_not_proven_any_more_ends(
    scope: dict[str, Any], streams: EndlessStreams, connection: Connection
) -> None:
    """An endless one as if by itself, since its reader resumes; any other one so that it does not look whole."""
    for is_endless in (True, False):
        revoked = asyncio.Event()
        refutation = scope[REFUTATION] = Refutation(partial(until, revoked))
        reader, source = Reader(), Source(b"a", endless=True)
        answer = source.answer()._replace(is_endless=is_endless)
        task = asyncio.create_task(send_answer(scope, reader, answer))
        await asyncio.sleep(0.01)
        assert (reader.body, task.done()) == (b"a", False)
        revoked.set()
        if is_endless:
            await task
        else:
            with pytest.raises(ClientDisconnect):
                await task
        assert (reader.is_whole, source.closed, connection.aborted) == (is_endless, 1, int(not is_endless))
        refutation.close()
    assert streams.tasks == set()


async def test_reader_who_takes_nothing_is_cut_off_when_it_is_not_proven_any_more(
    scope: dict[str, Any], connection: Connection
) -> None:
    revoked = asyncio.Event()
    scope[REFUTATION] = Refutation(partial(until, revoked))
    reader, source = Reader(room=2), Source(b"a", b"b", b"c")
    task = asyncio.create_task(send_answer(scope, reader, source.answer()))
    await asyncio.sleep(0.01)
    revoked.set()
    with pytest.raises(ClientDisconnect):
        await task
    assert (reader.body, source.closed, connection.aborted) == (b"a", 1, 1)


async def until(event: asyncio.Event) -> None:
    await event.wait()


async def test_other_stream_that_breaks_off_never_looks_whole(scope: dict[str, Any]) -> None:
    reader = Reader()
    source = Source(b"a", error=UpstreamFailed("crud is gone"))
    with pytest.raises(UpstreamFailed):
        await send_answer(scope, reader, source.answer())
    assert not reader.is_whole
