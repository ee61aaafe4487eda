"""HTTP/1.1 as uvicorn speaks it, but for what it says to bytes that are no HTTP."""

import asyncio
import secrets
import socket
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sarvanom.shared.errors import MalformedRequest
from sarvanom.web.problems import PROBLEM_JSON, problem_body
from sarvanom.web.sending import CONNECTION

_log = structlog.get_logger()
_UNSENT_BYTES: Final = 128 * 1024
MAX_HEAD_BYTES: Final = 128 * 1024
_ERROR: Final = MalformedRequest("The request is no HTTP/1.1, or longer than 64 KiB in its target, 128 KiB in its head")


class ProblemProtocol(HttpToolsProtocol):
    """Answers what cannot be parsed with problem details, as everything else is answered."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_is_open = False
        self._has_progressed = False
        self._idle_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep little in the kernel that is not sent, so that a slow reader is seen to read."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head, trailer or chunk extension that does not end is cut off: nothing else bounds it."""
        self._has_progressed = False
        super().data_received(data)
        if self._has_progressed:
            self._idle_bytes = 0
            return
        self._idle_bytes += len(data)
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head is too large")

    def on_message_begin(self) -> None:
        """Open the head."""
        super().on_message_begin()
        self.scope[CONNECTION] = self.transport  # type: ignore[typeddict-unknown-key]
        self._head_is_open = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, and is dropped (RFC 9110, section 6.5.1)."""
        if self._head_is_open:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Close the head."""
        self._head_is_open = False
        self._has_progressed = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note the progress."""
        self._has_progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the progress."""
        self._has_progressed = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer and close the connection: what follows on it cannot be told apart from the request."""
        request_id = secrets.token_hex(16)
        _log.info("malformed request", reason=msg, request_id=request_id)
        body = problem_body(_ERROR, request_id)
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
            f"cache-control: no-store\r\nx-content-type-options: nosniff\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
