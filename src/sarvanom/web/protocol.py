"""HTTP/1.1 within bounds of time: who sends or reads too slowly makes room for others."""

import asyncio
import socket
from typing import Any, Final

import structlog

from sarvanom.shared.errors import RequestTimeout, SarvanOMError, ServiceUnavailable
from sarvanom.web.connections import ConnectionGuard
from sarvanom.web.sending import CONNECTION
from sarvanom.web.strict_protocol import StrictProtocol

_log = structlog.get_logger()
_UNSENT_BYTES: Final = 128 * 1024
_BODY_BYTES_PER_SECOND: Final = 256
"""What a body that is asked for must bring on average; the slowest of lines bring more."""


_LINGERING_SECONDS: Final = 2.0


class ProblemProtocol(StrictProtocol):
    """Answers what is refused with problem details, as everything else is answered; the guard asks it to `check`."""

    def __init__(self, *args: Any, guard: ConnectionGuard | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._guard = guard or ConnectionGuard()
        self._since = 0.0
        """Since when the connection has been in its state, or what came of the body has been counted."""
        self._body_bytes = 0
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep little in the kernel that is not sent, so that a slow reader is seen to read."""
        super().connection_made(transport)
        self._since = self._unsent_since = self._guard.now
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        if not self._guard.admit(self, self.client[0] if self.client else None):
            self.refuse(ServiceUnavailable("There are too many connections"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._guard.leave(self)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Note that the reader reads."""
        self._unsent_since = self._guard.now
        super().resume_writing()

    def on_message_begin(self) -> None:
        """Note the time."""
        super().on_message_begin()
        self.scope[CONNECTION] = self.transport  # type: ignore[typeddict-unknown-key]
        self._since = self._guard.now

    def on_headers_complete(self) -> None:
        """Note the time."""
        super().on_headers_complete()
        self._since = self._guard.now
        self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Count."""
        super().on_body(body)
        self._body_bytes += len(body)

    def on_response_complete(self) -> None:
        """Note the time."""
        self._since = self._guard.now
        super().on_response_complete()

    def refuse(self, error: SarvanOMError) -> None:
        """Note the time."""
        super().refuse(error)
        self._since = self._guard.now

    def check(self, now: float) -> None:
        """End the connection if its caller takes too long: to send a head, a body or the next request, or to read."""
        if self._is_left_unread(now):
            _log.info("slow reader cut off")
            self.transport.abort()
        if self.transport.is_closing():
            return
        waited, limits = now - self._since, self._guard.limits
        if self.is_lingering:
            if waited >= min(_LINGERING_SECONDS, limits.head_seconds):
                self.transport.abort()
        elif self._head_is_open:
            if self.flow.read_paused:
                self._since = now
            elif waited >= limits.head_seconds:
                self.refuse(RequestTimeout("The head of the request did not come in time"))
        elif self._body_is_open:
            self._check_body(now, waited, limits.body_seconds)
        elif self.cycle is None:
            # Nothing was asked yet, so nothing is answered: browsers open connections before they need them.
            if waited >= limits.head_seconds:
                self.transport.close()
        elif self.cycle.response_complete and waited >= limits.idle_seconds:
            self.transport.close()

    def _check_body(self, now: float, waited: float, seconds: float) -> None:
        """See that a body comes while it is asked for; once its answer has begun, any part of it is enough.

        Who waits because nobody asks, as an import does while what it has sent is stored, is not late.
        """
        cycle = self.cycle
        if cycle.response_complete:
            if waited >= seconds:
                self.transport.close()
            return
        if self.flow.read_paused or not cycle.message_event._waiters:  # noqa: SLF001 (nothing public says so)
            self._since, self._body_bytes = now, 0
        elif waited >= seconds:
            enough = 1 if cycle.response_started else _BODY_BYTES_PER_SECOND * seconds
            if self._body_bytes < enough:
                self.refuse(RequestTimeout("The body of the request did not come in time"))
            self._since, self._body_bytes = now, 0

    def _is_left_unread(self, now: float) -> bool:
        """Tell whether the reader has left all of what was sent to it, while nothing more is sent."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        is_at_rest = self.cycle is None or self.cycle.response_complete or self.transport.is_closing()
        if not self._unsent or self._unsent < before or not (is_at_rest or self.flow.write_paused):
            self._unsent_since = now
        return now - self._unsent_since >= self._guard.limits.reader_seconds
