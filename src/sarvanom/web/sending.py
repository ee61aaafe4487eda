"""Sending an answer: at once, or in chunks as fast as the reader takes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Scope, Send

from sarvanom.shared.errors import SarvanOMError, Unauthorized
from sarvanom.web.calls import AnyAnswer, StreamedAnswer
from sarvanom.web.middleware.observation import ENDLESS
from sarvanom.web.pace import Pace
from sarvanom.web.proofs import REFUTATION, Refutation

CONNECTION: Final = "sarvanom.connection"
"""Where the scope keeps the connection, an `asyncio.Transport`: a server hears of a reader's end only through it."""

STREAMS: Final = "sarvanom.streams"
"""Where the scope keeps the service's `EndlessStreams`."""

_log = structlog.get_logger()

SLOW_READER_SECONDS: Final = 20.0
"""How long a reader may leave what was sent to it; then it is cut off, and resumes where it was."""
_LAST_SECONDS: Final = 1.0


class EndlessStreams:
    """The answers of a service that go on until it stops."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_stopping = False

    def add(self, task: asyncio.Task[Any]) -> None:
        """Take one more, which ends at once if the service is stopping already."""
        self.tasks.add(task)
        if self.is_stopping:
            task.cancel()

    def stop(self) -> None:
        """End them all."""
        self.is_stopping = True
        for task in self.tasks:
            task.cancel()


async def send_answer(scope: Scope, send: Send, answer: AnyAnswer) -> None:
    """Send an answer; to HEAD without its body."""
    if isinstance(answer, StreamedAnswer):
        await _send_stream(scope, send, answer)
        return
    status, headers, body = answer
    if status not in (204, 304):
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _send_stream(scope: Scope, send: Send, answer: StreamedAnswer) -> None:
    """Send the chunks as they are made; each waits until the reader has room for it.

    Raises:
        ClientDisconnect: the reader is gone, leaves what was sent to it, or is slower than the answer's pace; or it is
            no longer proven who reads an answer that should have come to its own end.
    """
    if answer.is_endless:
        scope[ENDLESS] = True
    async with aclosing(answer.chunks):
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if scope["method"] != "HEAD":
            async with _ending(scope) if answer.is_endless else _breaking_off(scope), _while_proven(scope):
                async for chunk in answer.chunks:
                    await _send_part(scope, send, chunk, answer.pace)
    if answer.is_endless:
        _limit_the_end(scope)
    await _send_part(scope, send, None)


@asynccontextmanager
async def _ending(scope: Scope) -> AsyncIterator[None]:
    """Let what goes on in this block end, as if by itself, when the service stops or what it comes from breaks off.

    So it does when it is no longer proven who reads. Who reads an endless answer asks for it again, whatever ended it.
    """
    streams: EndlessStreams | None = scope.get(STREAMS)
    task = asyncio.current_task()
    if streams is None or task is None:
        yield
        return
    streams.add(task)
    try:
        yield
    except SarvanOMError as error:
        _log.info("stream broke off", reason=error.detail)
    except asyncio.CancelledError:
        if not streams.is_stopping:
            raise
        task.uncancel()
    finally:
        streams.tasks.discard(task)


@asynccontextmanager
async def _breaking_off(scope: Scope) -> AsyncIterator[None]:
    """Drop the connection when it is no longer proven who reads: half an answer must not look like a whole one."""
    try:
        yield
    except Unauthorized as error:
        _log.info("stream broke off", reason=error.detail)
        await drop_connection(scope)
        raise ClientDisconnect from None


def _while_proven(scope: Scope) -> AbstractAsyncContextManager[None]:
    refutation: Refutation | None = scope.get(REFUTATION)
    return nullcontext() if refutation is None else refutation.breaking()


def _limit_the_end(scope: Scope) -> None:
    """Leave a reader little time to take what was sent to it, if the service is stopping."""
    streams: EndlessStreams | None = scope.get(STREAMS)
    connection: asyncio.Transport | None = scope.get(CONNECTION)
    if streams is not None and streams.is_stopping and connection is not None:
        asyncio.get_running_loop().call_later(_LAST_SECONDS, connection.abort)


async def _send_part(scope: Scope, send: Send, chunk: bytes | None, pace: Pace | None = None) -> None:
    """Send a chunk, or the end."""
    connection: asyncio.Transport | None = scope.get(CONNECTION)
    try:
        async with asyncio.timeout(SLOW_READER_SECONDS):
            with pace.waiting(len(chunk or b"")) if pace is not None else nullcontext():
                await send({"type": "http.response.body", "body": chunk or b"", "more_body": chunk is not None})
    except TimeoutError:
        is_slow = True
    else:
        is_slow = pace is not None and not pace.is_kept
    if is_slow:
        _log.info("slow reader cut off")
        await drop_connection(scope)
        raise ClientDisconnect
    if chunk is not None and connection is not None and connection.is_closing():
        raise ClientDisconnect


async def drop_connection(scope: Scope) -> None:
    """Drop the connection at once, with what was not sent yet."""
    connection: asyncio.Transport | None = scope.get(CONNECTION)
    if connection is not None:
        connection.abort()
        await asyncio.sleep(0)  # until the server has heard of it; it would report an answer without an end
