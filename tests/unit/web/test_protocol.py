"""Connections of callers who send, or read, too slowly: real sockets, and a clock that the test turns."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from sarvanom.web.connections import ConnectionLimits
from tests.services.raw_http import parse, statuses_in
from tests.unit.web.served import Caller, Server, hello, serving, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
LIMITS = ConnectionLimits(head_seconds=20, body_seconds=60, idle_seconds=75, reader_seconds=20)


async def asked(server: Server, data: bytes = b"") -> Caller:
    """Open a connection, and send what the server then has read."""
    caller = await server.call()
    caller.send(data)
    await until(lambda: not data or caller.protocol._idle_bytes or caller.protocol._has_progressed)
    return caller


async def test_connection_that_asks_nothing_is_closed_without_a_word() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server)
        server.pass_time(19)
        assert caller.is_open
        server.pass_time(2)
        assert await caller.rest() == b""


async def test_head_that_does_not_end_is_late_however_often_a_byte_comes() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, b"GET / HT")
        for number in range(1, 5):
            server.pass_time(4)
            caller.send(b"TP/1"[number - 1 : number])
            await until(lambda: caller.protocol._idle_bytes == len(b"GET / HT") + number)  # noqa: B023
            assert caller.is_open
        server.pass_time(4)
        late = parse(await caller.rest())
        assert (late.status, late.json()["code"], late.headers["connection"]) == (408, "request_timeout", "close")


async def test_time_of_a_head_begins_with_its_first_byte() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, GET)
        assert b"200" in await caller.reader.readuntil(b"\r\n\r\n0")
        server.pass_time(70)
        caller.send(b"GET")
        await until(lambda: caller.protocol._head_is_open)
        server.pass_time(19)
        assert caller.is_open
        server.pass_time(1)
        assert statuses_in(await caller.rest()) == [408]


async def test_idle_connection_is_closed_without_a_word() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, GET)
        await caller.reader.readuntil(b"\r\n\r\n0")
        server.pass_time(74)
        assert caller.is_open
        caller.send(b"\r\n")
        await until(lambda: caller.protocol._idle_bytes)
        server.pass_time(1)
        assert await caller.rest() == b""


async def test_body_that_trickles_is_late() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, POST + b"x" * 1000)
        server.pass_time(59)
        assert caller.is_open
        server.pass_time(1)
        assert statuses_in(await caller.rest()) == [408]


async def test_body_that_comes_at_a_fair_pace_may_take_long() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, POST)
        for number in range(6):
            caller.send(b"x" * 16_000)
            await until(lambda: caller.protocol._body_bytes >= 16_000)
            server.pass_time(60)
            assert caller.is_open, number
        caller.send(b"x" * 4_000)
        assert (await caller.reader.readuntil(b"100000")).startswith(b"HTTP/1.1 200")


async def test_body_that_nobody_asks_for_is_not_late() -> None:
    """An import is read no faster than it is stored: that its sender waits is not its sender's fault."""
    may_read = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_read.wait()
        await hello(scope, receive, send)

    async with serving(app, LIMITS) as server:
        small = await asked(server, POST + b"x" * 10)
        large = await asked(server, POST + b"x" * 99_000)
        for _ in range(10):
            server.pass_time(60)
        assert (small.is_open, large.is_open) == (True, True)
        assert large.protocol.flow.read_paused
        may_read.set()
        await until(lambda: small.protocol.cycle.message_event._waiters)
        large.send(b"x" * 1_000)
        await large.reader.readuntil(b"100000")
        server.pass_time(59)
        assert small.is_open
        server.pass_time(1)
        assert statuses_in(await small.rest()) == [408]


async def test_body_that_is_answered_while_it_comes_may_trickle_but_not_be_silent() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["type"] == "http.request":
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})

    async with serving(app, LIMITS) as server:
        caller = await asked(server, POST)
        for _ in range(5):
            caller.send(b"y")
            await caller.reader.readuntil(b"y")
            server.pass_time(60)
            assert caller.is_open
        server.pass_time(60)
        assert await caller.rest() == b"\r\n"


async def test_rest_of_a_refused_body_has_its_time_too() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, LIMITS) as server:
        caller = await asked(server, POST)
        await caller.reader.readuntil(b"\r\n\r\n")
        caller.send(b"x" * 50_000)
        server.pass_time(59)
        assert caller.is_open
        server.pass_time(1)
        assert await caller.rest() == b""


@pytest.mark.parametrize("then", [b"", GET * 50])
async def test_reader_who_leaves_a_whole_answer_is_cut_off(then: bytes) -> None:
    large = b"x" * 20_000_000

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(large))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": large})

    async with serving(app, LIMITS) as server:
        caller = await server.call(limit=1024)
        caller.send(GET + then)
        await until(lambda: caller.protocol.transport.get_write_buffer_size() > 1_000_000)
        server.pass_time(1)
        server.pass_time(10)
        unsent = caller.protocol.transport.get_write_buffer_size()
        await caller.reader.readexactly(8_000_000)
        await until(lambda: caller.protocol.transport.get_write_buffer_size() < unsent)
        server.pass_time(15)
        assert caller.is_open
        server.pass_time(19)
        assert caller.is_open
        server.pass_time(1)
        assert not caller.is_open


async def test_reader_who_leaves_the_answer_of_a_closed_connection_is_cut_off() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * 20_000_000})

    async with serving(app, LIMITS) as server:
        caller = await server.call(limit=1024)
        caller.send(GET)
        await until(caller.protocol.transport.is_closing)
        server.pass_time(1)
        server.pass_time(20)
        await until(lambda: not server.guard._connections)


async def test_answer_that_is_being_made_may_take_its_time() -> None:
    may_end = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async with serving(app, LIMITS) as server:
        caller = await asked(server, GET + b"GET")
        await caller.reader.readuntil(b"first")
        server.pass_time(19)
        assert caller.is_open
        server.pass_time(500)
        assert caller.is_open
        may_end.set()
        assert statuses_in(await caller.rest()) == [408]


async def test_connections_beyond_the_limit_are_turned_away() -> None:
    async with serving(limits=ConnectionLimits(connections=2)) as server:
        kept = [await asked(server, GET) for _ in range(2)]
        refused = parse(await (await server.call()).rest())
        assert (refused.status, refused.json()["code"]) == (503, "service_unavailable")
        assert refused.headers["retry-after"] == "1"
        kept[0].writer.close()
        await until(lambda: len(server.guard._connections) == 1)
        again = await asked(server, GET)
        assert b"200" in await again.reader.readuntil(b"\r\n\r\n0")


async def test_head_that_waits_because_nothing_is_read_is_not_late() -> None:
    """Requests in a row: while the first is answered, the server does not read what follows the second."""
    may_answer = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_answer.wait()
        await hello(scope, receive, send)

    async with serving(app, LIMITS) as server:
        caller = await asked(server, GET + GET + GET[:10])
        for _ in range(10):
            server.pass_time(20)
        assert caller.is_open
        may_answer.set()
        caller.send(GET[10:])
        for _ in range(3):
            await caller.reader.readuntil(b"\r\n\r\n0")


async def test_refused_caller_who_goes_on_sending_still_gets_the_answer() -> None:
    async with serving(limits=LIMITS) as server:
        caller = await asked(server, b"no HTTP\r\n\r\n")
        for _ in range(10):
            caller.send(b"x" * 100_000)
            await caller.writer.drain()
        assert statuses_in(await caller.rest()) == [400]
        server.pass_time(1)
        assert caller.is_open
        server.pass_time(1)
        assert not caller.is_open


async def test_server_that_stops_does_not_wait_for_who_was_refused() -> None:
    async with serving(limits=LIMITS) as server:
        refused = await asked(server, b"no HTTP\r\n\r\n")
        idle = await server.call()
        for caller in (refused, idle):
            caller.protocol.shutdown()
            assert not caller.is_open


async def test_reader_who_reads_slowly_while_more_is_sent_is_not_cut_off() -> None:
    chunk = b"x" * 100_000

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    async with serving(app, LIMITS) as server:
        caller = await server.call(limit=1024)
        caller.send(GET)
        for _ in range(10):
            await until(lambda: caller.protocol.flow.write_paused)
            server.pass_time(15)
            assert caller.is_open
            await caller.reader.readexactly(1_500_000)
        received = b""
        while not received.endswith(b"last\r\n0\r\n\r\n"):
            received = received[-100:] + await caller.reader.read(2**20)
