"""Head and body of an answer in one write, and a head alone where no body follows at once."""

import asyncio
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from sarvanom.web.joined_answer import JoinedAnswer
from tests.unit.web.served import PATIENCE, serving


@dataclass
class Cycle:
    """What an answer knows of its request."""

    response_started: bool = True


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


@pytest.fixture
def transport() -> Transport:
    return Transport()


def answer_over(transport: Transport, cycle: Cycle | None = None) -> JoinedAnswer:
    return JoinedAnswer(cycle or Cycle(), transport, asyncio.get_running_loop())  # type: ignore[arg-type]


async def test_head_and_body_leave_together(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.write(b"head ")
    assert transport.done == []
    answer.write(b"body")
    assert transport.done == [b"head body"]
    await asyncio.sleep(0)
    answer.write(b" more")
    assert transport.done == [b"head body", b" more"]


async def test_a_large_body_is_not_copied(transport: Transport) -> None:
    large = b"x" * 100_000
    answer = answer_over(transport)
    answer.write(b"head")
    answer.write(large)
    assert transport.done[0] == b"head"
    assert transport.done[1] is large


async def test_a_head_that_no_body_follows_leaves_alone(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.write(b"head")
    await asyncio.sleep(0)
    assert transport.done == [b"head"]
    answer.write(b"body")
    assert transport.done == [b"head", b"body"]


async def test_what_comes_before_the_answer_is_not_kept(transport: Transport) -> None:
    cycle = Cycle(response_started=False)
    answer = answer_over(transport, cycle)
    answer.write(b"continue")
    assert transport.done == [b"continue"]
    cycle.response_started = True
    answer.write(b"head ")
    answer.write(b"body")
    assert transport.done == [b"continue", b"head body"]


async def test_closing_sends_what_was_kept_first(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.write(b"head")
    answer.close()
    assert transport.done == [b"head", "close"]
    assert answer.is_closing()
    await asyncio.sleep(0)
    assert transport.done == [b"head", "close"]


async def test_what_was_kept_is_dropped_when_the_connection_broke(transport: Transport) -> None:
    answer = answer_over(transport)
    answer.write(b"head")
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.done == []


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
