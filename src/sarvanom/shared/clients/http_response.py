"""Reads HTTP/1.1 responses off one connection, one after the other (RFC 9112)."""

from typing import Final

from httptools import HttpParserError, HttpResponseParser

from sarvanom.shared.clients.http_request import HOP_BY_HOP
from sarvanom.shared.clients.transport import Headers, Response
from sarvanom.shared.errors import UpstreamFailed

_VERSIONS: Final = ("1.1", "1.0")
_FIRST_FINAL_STATUS: Final = 200


class ResponseReader:
    """From bytes to responses; `on_…` are the parser's callbacks.

    `answered` tells whether any byte of the response has come, and `reusable` whether another response may follow on
    this connection. The headers that concern the connection alone, and trailers, are left out of the response.
    """

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_collected",
        "_headers",
        "_max_bytes",
        "_parser",
        "_parts",
        "_received",
        "_response",
        "_status",
        "reusable",
    )

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parser = HttpResponseParser(self)
        self.expect(bodiless=False)

    def expect(self, *, bodiless: bool) -> None:
        """Get ready for the next response; the one to a HEAD is `bodiless`, whatever its headers say."""
        self._bodiless = bodiless
        self._received = 0
        self._response: Response | None = None
        self.reusable = True
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._chunked = False
        self._collected: Headers = []
        self._headers: Headers | None = None
        self._parts: list[bytes] = []

    @property
    def answered(self) -> bool:
        """Whether any byte of the response has come."""
        return self._received > 0

    def feed(self, data: bytes) -> Response | None:
        """Take what came and return the response if that ends it.

        Raises:
            UpstreamFailed: it is no HTTP response, or larger than the bound.
        """
        self._received += len(data)
        if self._received > self._max_bytes:
            raise UpstreamFailed("The service's answer is larger than may be")
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.reusable = False
            if self._response is None:
                raise UpstreamFailed("The service's answer is no valid HTTP") from None
        return self._response

    def finish(self) -> Response:
        """Return the response that the connection's end ends.

        Raises:
            UpstreamFailed: it was cut off.
        """
        headers = self._headers
        if headers is None or self._chunked or any(name == b"content-length" for name, _ in headers):
            raise UpstreamFailed("The service broke off before its answer was complete")
        return Response(self._status, headers, b"".join(self._parts))

    def release(self) -> None:
        """Let go of the parser, which refers back to this reader."""
        del self._parser

    def on_message_begin(self) -> None:
        """Refuse what follows a complete response."""
        if self._response is not None:
            raise HttpParserError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, or a trailer, which is dropped."""
        name = name.lower()
        if name not in HOP_BY_HOP:
            self._collected.append((name, value))
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise HttpParserError
            self._chunked = True

    def on_headers_complete(self) -> None:
        """Note the status; a bodiless response ends here, for which the parser has no word."""
        parser = self._parser
        self._status = parser.get_status_code()
        if parser.get_http_version() not in _VERSIONS:
            raise HttpParserError
        self.reusable = parser.should_keep_alive()
        self._headers = self._collected
        self._collected = []
        if self._bodiless and self._status >= _FIRST_FINAL_STATUS:
            self._response = Response(self._status, self._headers, b"")
            self.reusable = self.reusable and not self._chunked
            self._parser = HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        if self._response is not None:
            raise HttpParserError
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """End the response, unless it was an informational one, which the final one follows."""
        if self._status < _FIRST_FINAL_STATUS:
            self._begin()
        elif self._response is None:
            parts = self._parts
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._response = Response(self._status, self._headers or [], body)
