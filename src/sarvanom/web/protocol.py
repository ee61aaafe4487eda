"""HTTP/1.1 as uvicorn speaks it, but for what it says to bytes that are no HTTP."""

import secrets
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sarvanom.shared.errors import MalformedRequest
from sarvanom.web.problems import PROBLEM_JSON, problem_body

_ERROR: Final = MalformedRequest("The request is no valid HTTP/1.1, or its target is longer than 64 KiB")


class ProblemProtocol(HttpToolsProtocol):
    """Answers what cannot be parsed with problem details, as everything else is answered."""

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
