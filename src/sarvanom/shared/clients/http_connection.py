"""One connection to a service, which carries one request at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from sarvanom.shared.clients.http_response import ResponseReader
from sarvanom.shared.clients.transport import Response
from sarvanom.shared.errors import UpstreamFailed, UpstreamTimeout

_LARGE: Final = 65_536


class HTTPConnection(asyncio.Protocol):
    """An open connection; once anything about it is in doubt it is dropped, and `is_open` turns false for good.

    `on_closed` is called once, at that moment; `gone` is done a little later, when nothing of it is left.
    """

    __slots__ = (
        "_answer",
        "_loop",
        "_on_closed",
        "_reader",
        "_timer",
        "_transport",
        "gone",
        "idle_since",
        "is_open",
        "is_reused",
    )

    def __init__(self, max_response_bytes: int, on_closed: Callable[["HTTPConnection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_closed = on_closed
        self._reader = ResponseReader(max_response_bytes)
        self._answer: asyncio.Future[Response] | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.is_open = False
        self.is_reused = False
        self.idle_since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether the connection may carry another request."""
        return self.is_open and self._answer is None

    @property
    def is_stale(self) -> bool:
        """Whether the other side had closed the connection, while it was idle, before it saw the last request.

        It is very likely, never certain: a service may also act, and die before it answers.
        """
        return self.is_reused and not self._reader.answered

    def ask(self, head: bytes, body: bytes, *, bodiless: bool, deadline: float) -> asyncio.Future[Response]:
        """Send a request and return the future of its answer; `deadline` is in the loop's time."""
        self._reader.expect(bodiless=bodiless)
        answer = self._answer = self._loop.create_future()
        self._timer = self._loop.call_at(deadline, self._expire)
        if len(body) < _LARGE:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        return answer

    def abort(self) -> None:
        """Drop the connection at once; idempotent."""
        if self.is_open:
            self._transport.abort()
            self._close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Feed the answer; bytes that nobody asked for are the end of the connection."""
        if self._answer is None:
            self.abort()
            return
        try:
            response = self._reader.feed(data)
        except UpstreamFailed as error:
            self._fail(error)
            return
        if response is not None:
            if not self._reader.reusable or self._transport.get_write_buffer_size():
                self.abort()
            self._settle(response)

    def eof_received(self) -> None:
        """Take the end of the connection as the end of the answer, where it can be that."""
        if self._answer is not None:
            try:
                response = self._reader.finish()
            except UpstreamFailed as error:
                self._fail(error)
            else:
                self._settle(response)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Fail what was under way."""
        self._close()
        if self._answer is not None:
            self._fail(UpstreamFailed("The service broke off before its answer was complete"))
        self._reader.release()
        if not self.gone.done():
            self.gone.set_result(None)

    def _close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._on_closed(self)

    def _settle(self, response: Response) -> None:
        answer = self._close_answer()
        if not answer.done():
            answer.set_result(response)

    def _fail(self, error: UpstreamFailed | UpstreamTimeout) -> None:
        self.abort()
        answer = self._close_answer()
        if not answer.done():
            answer.set_exception(error)

    def _close_answer(self) -> asyncio.Future[Response]:
        self._timer.cancel()
        answer, self._answer = self._answer, None
        return cast("asyncio.Future[Response]", answer)

    def _expire(self) -> None:
        self._fail(UpstreamTimeout("The service did not answer in time"))
