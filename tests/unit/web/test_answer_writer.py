"""Answers as uvicorn sends them, but head and body in one write, and a head alone where no body follows at once."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sarvanom.web.answer_writer import AnswerWriter
from tests.unit.web.served import PATIENCE, serving

type Headers = Sequence[tuple[bytes, bytes]]

DATE = (b"date", b"Fri, 27 Nov 2026 10:00:00 GMT")
COMPLETE = b"<complete>"


@dataclass
class Transport:
    """Notes what is done with it."""

    done: list[bytes | str] = field(default_factory=list)
    closing: bool = False

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    @property
    def sent(self) -> bytes:
        return b"".join(one for one in self.done if isinstance(one, bytes))


@pytest.fixture
def transport() -> Transport:
    return Transport()


def cycle_over(
    transport: Transport, method: str = "GET", *, keep_alive: bool = True, defaults: Headers = (DATE,)
) -> RequestResponseCycle:
    """Return uvicorn's own cycle of a request; the transport notes that the answer is complete."""
    log = logging.getLogger("unused")
    return RequestResponseCycle(
        scope={"method": method},  # type: ignore[typeddict-item]
        transport=transport,  # type: ignore[arg-type]
        flow=FlowControl(transport),  # type: ignore[arg-type]
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=list(defaults),
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: transport.done.append(COMPLETE),
    )


def answer_over(
    transport: Transport, method: str = "GET", *, keep_alive: bool = True, defaults: Headers = (DATE,)
) -> RequestResponseCycle:
    """Return a cycle whose answer an `AnswerWriter` sends."""
    cycle = cycle_over(transport, method, keep_alive=keep_alive, defaults=defaults)
    AnswerWriter(cycle, transport, asyncio.get_running_loop()).take_over(cycle)  # type: ignore[arg-type]
    return cycle


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Any:
    return {"type": "http.response.start", "status": status, "headers": headers}


def part(body: bytes, *, more: bool = False) -> Any:
    return {"type": "http.response.body", "body": body, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


async def outcome_of(cycle: RequestResponseCycle, messages: Sequence[Message]) -> str:
    """Send the messages until one is refused; tell which, and how the answer stands."""
    refused = None
    for number, message in enumerate(messages):
        try:
            await cycle.send(message)  # type: ignore[arg-type]
        except RuntimeError:
            refused = number
            break
    return f"{refused} {cycle.response_started} {cycle.response_complete} {refused == 0 or cycle.keep_alive}"


_HEADERS = st.lists(
    st.sampled_from(
        [
            (b"etag", b'"1"'),
            (b"ETag", b"caf\xe9"),
            (b"vary", b"x\ty"),
            (b"x", b""),
            (b"Connection", b"Close"),
            (b"connection", b"a, close"),
            (b"connection", b"keep-alive"),
            (b"transfer-encoding", b"Chunked"),
            (b"transfer-encoding", b"gzip"),
        ]
    ),
    max_size=3,
)
_UNFIT_HEADERS = st.sampled_from([(b"a b", b"c"), (b"a:", b"c"), (b"a", b"b\r\nc: d"), (b"a", b"\0"), (b"a", b"\x7f")])
_BODIES = st.lists(st.sampled_from([b"", b"1234", b"5" * 70_000]), min_size=1, max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> list[Message]:
    """Draw the messages of an answer: most are right, and in some one thing is wrong."""
    headers, bodies = draw(_HEADERS), draw(_BODIES)
    wrong = draw(st.sampled_from([None] * 4 + ["length", "header", "first", "last", "end"]))
    if draw(st.booleans()) or wrong == "length":
        off = draw(st.sampled_from([-1, 1, -4])) if wrong == "length" else 0
        headers.append(length(max(0, sum(map(len, bodies)) + off)))
    if wrong == "header":
        headers.append(draw(_UNFIT_HEADERS))
    messages = [start(*headers, status=draw(st.sampled_from([200, 200, 204, 304, 404, 599])))]
    messages += [part(body, more=True) for body in bodies[:-1]]
    messages.append(part(bodies[-1], more=wrong == "end"))
    if wrong == "first":
        messages.pop(0)
    if wrong == "last":
        messages.append(draw(st.sampled_from([messages[0], messages[-1]])))
    return messages


@given(st.sampled_from(["GET", "HEAD", "POST"]), st.booleans(), st.sampled_from([[], [DATE]]), answers())
def test_answers_are_those_of_uvicorn(
    method: str, keep_alive: bool, defaults: Headers, messages: list[Message]
) -> None:
    async def both() -> None:
        theirs, ours = Transport(), Transport()
        expected = await outcome_of(cycle_over(theirs, method, keep_alive=keep_alive, defaults=defaults), messages)
        answer = answer_over(ours, method, keep_alive=keep_alive, defaults=defaults)
        assert await outcome_of(answer, messages) == expected
        await asyncio.sleep(0)
        assert ours.sent == theirs.sent
        assert ours.closing == theirs.closing

    asyncio.run(both())


async def test_head_and_body_leave_together(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(9)))
    assert transport.done == []
    await answer.send(part(b"body", more=True))
    assert transport.done == [b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-length: 9\r\n\r\nbody" % DATE[1]]
    await asyncio.sleep(0)
    await answer.send(part(b" more"))
    assert transport.done[1:] == [b" more", COMPLETE]


async def test_a_large_body_is_not_copied(transport: Transport) -> None:
    large = b"x" * 100_000
    answer = answer_over(transport)
    await answer.send(start(length(len(large))))
    await answer.send(part(large))
    assert transport.sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.done[1] is large


async def test_a_head_that_no_body_follows_leaves_alone(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(4)))
    await asyncio.sleep(0)
    assert len(transport.done) == 1
    await answer.send(part(b"body"))
    assert transport.done[1:] == [b"body", COMPLETE]


async def test_what_comes_before_the_answer_is_not_kept(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.transport.write(b"continue")
    assert transport.done == [b"continue"]


async def test_closing_sends_what_was_kept_first(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(4)))
    answer.transport.close()
    assert transport.done[1:] == ["close"]
    assert answer.transport.is_closing()
    await asyncio.sleep(0)
    assert transport.done[1:] == ["close"]


async def test_what_was_kept_is_dropped_when_the_connection_broke(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(4)))
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.done == []


async def test_nothing_is_sent_to_who_is_gone(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.disconnected = True
    await answer.send(start(length(4)))
    await answer.send(part(b"body"))
    assert transport.done == []


async def test_a_reader_who_takes_nothing_is_waited_for(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(4)))
    answer.flow.pause_writing()
    sending = asyncio.create_task(answer.send(part(b"body")))
    await asyncio.sleep(0)
    assert not transport.sent.endswith(b"body")
    answer.flow.resume_writing()
    await sending
    assert transport.sent.endswith(b"body" + COMPLETE)


async def test_of_two_ends_that_wait_for_the_reader_one_is_refused(transport: Transport) -> None:
    answer = answer_over(transport)
    await answer.send(start(length(0)))
    answer.flow.pause_writing()
    sending = [asyncio.create_task(answer.send(part(b""))) for _ in range(2)]
    await asyncio.sleep(0)
    answer.flow.resume_writing()
    first, second = await asyncio.gather(*sending, return_exceptions=True)
    assert first is None
    assert isinstance(second, RuntimeError)
    assert transport.done.count(COMPLETE) == 1


@pytest.mark.parametrize(
    "header", [(b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x", b"\0"), (b"x\r\ny", b"a"), (b"", b"a")]
)
async def test_no_header_begins_another(transport: Transport, header: tuple[bytes, bytes]) -> None:
    answer = answer_over(transport)
    with pytest.raises(RuntimeError, match="header"):
        await answer.send(start(header, length(0)))
    await asyncio.sleep(0)
    assert transport.done == []


async def test_nothing_follows_the_end(transport: Transport) -> None:
    answer = answer_over(transport)
    send = answer.send
    await send(start(length(0)))
    await send(part(b""))
    with pytest.raises(RuntimeError, match=r"complete, and 'http\.response\.body' follows"):
        await send(part(b"more"))


async def test_an_answer_is_forgotten_without_a_collection_of_garbage(transport: Transport) -> None:
    gc.disable()
    try:
        answer = answer_over(transport)
        answer.scope["send"] = answer.send  # type: ignore[typeddict-unknown-key]
        await answer.send(start(length(0)))
        await answer.send(part(b""))
        await asyncio.sleep(0)
        kept = weakref.ref(answer)
        del answer
        assert kept() is None
    finally:
        gc.enable()


async def test_the_head_of_a_stream_is_there_before_its_first_chunk() -> None:
    may_go = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await may_go.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async with serving(app) as server:
        caller = await server.call()
        caller.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            may_go.set()
            assert await caller.reader.readuntil(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
async def test_head_requests_get_their_head(connection: bytes) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app) as server:
        caller = await server.call()
        caller.send(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + connection + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        if connection:
            assert await caller.rest() == b""


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_refusal_comes_after_the_answer_before_it(method: bytes) -> None:
    async with serving() as server:
        caller = await server.call()
        caller.send(method + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGARBAGE\r\n\r\n")
        answers = await caller.rest()
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert answers.index(b"HTTP/1.1 400 ") > 0
