"""HTTP/1.1 as uvicorn speaks it, but for what it says to bytes that are no HTTP."""

import secrets
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sarvanom.shared.errors import MalformedRequest
from sarvanom.web.problems import PROBLEM_JSON, problem_body

MAX_HEAD_BYTES: Final = 128 * 1024
_ERROR: Final = MalformedRequest("The request is no HTTP/1.1, or longer than 64 KiB in its target, 128 KiB in its head")


class ProblemProtocol(HttpToolsProtocol):
    """Answers what cannot be parsed with problem details, as everything else is answered."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_is_open = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that does not end is cut off, since nothing else bounds it."""
        super().data_received(data)
        if self._head_is_open:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._head_is_open = False
                self.send_400_response("The head is too large")

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._head_is_open = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """End counting."""
        self._head_is_open = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer and close the connection: what follows on it cannot be told apart from the request."""
        request_id = secrets.token_hex(16)
        self.logger.debug("malformed request: %s", msg, extra={"request_id": request_id})
        body = problem_body(_ERROR, request_id)
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
            f"cache-control: no-store\r\nx-content-type-options: nosniff\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
