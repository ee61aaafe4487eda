"""Reads HTTP/1.1 responses off one connection, one after the other (RFC 9112)."""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sarvanom.shared.clients.http_request import HOP_BY_HOP
from sarvanom.shared.clients.transport import Headers, Response
from sarvanom.shared.errors import UpstreamFailed

_VERSIONS: Final = ("1.1", "1.0")
_FIRST_FINAL_STATUS: Final = 200
_MAX_OVERHEAD: Final = 65_536


class ResponseParser:
    """What the readers of responses share; `on_…` are the parser's callbacks.

    `is_complete` tells whether the response has ended, and `reusable` whether another one may follow on this
    connection. The headers that concern the connection alone, and trailers, are left out.
    """

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_collected",
        "_headers",
        "_parser",
        "_parts",
        "_status",
        "is_complete",
        "reusable",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.expect(bodiless=False)

    def expect(self, *, bodiless: bool) -> None:
        """Get ready for the next response; the one to a HEAD is `bodiless`, whatever its headers say."""
        self._bodiless = bodiless
        self.is_complete = False
        self.reusable = True
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._chunked = False
        self._collected: Headers = []
        self._headers: Headers | None = None
        self._parts: list[bytes] = []

    def release(self) -> None:
        """Let go of the parser, which refers back to this reader."""
        del self._parser

    def on_message_begin(self) -> None:
        """Refuse what follows a complete response."""
        if self.is_complete:
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
            self.is_complete = True
            self.reusable = self.reusable and not self._chunked
            self._parser = HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        if self.is_complete:
            raise HttpParserError
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """End the response, unless it was an informational one, which the final one follows."""
        if self._status < _FIRST_FINAL_STATUS:
            self._begin()
        else:
            self.is_complete = True

    def _parse(self, data: bytes) -> None:
        """Take what came; raises `UpstreamFailed` if it is no HTTP response."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.reusable = False
            if not self.is_complete:
                raise UpstreamFailed("The service's answer is no valid HTTP") from None

    def _end(self) -> None:
        """Take the connection's end as the response's; raises `UpstreamFailed` if it was cut off."""
        headers = self._headers
        if headers is None or self._chunked or any(name == b"content-length" for name, _ in headers):
            raise UpstreamFailed("The service broke off before its answer was complete")
        self.is_complete = True

    def _join(self) -> bytes:
        parts = self._parts
        return parts[0] if len(parts) == 1 else b"".join(parts)


class ResponseReader(ResponseParser):
    """From bytes to whole responses; `answered` tells whether any byte of the response has come."""

    __slots__ = ("_max_bytes", "_received")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__()

    def expect(self, *, bodiless: bool) -> None:
        """Get ready for the next response; the one to a HEAD is `bodiless`, whatever its headers say."""
        super().expect(bodiless=bodiless)
        self._received = 0

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
        self._parse(data)
        return self._response() if self.is_complete else None

    def finish(self) -> Response:
        """Return the response that the connection's end ends.

        Raises:
            UpstreamFailed: it was cut off.
        """
        self._end()
        return self._response()

    def _response(self) -> Response:
        return Response(self._status, self._headers or [], self._join())


class StreamedResponseReader(ResponseParser):
    """From bytes to one response, part by part; what is not body (head, framing, trailers) is bounded."""

    __slots__ = ("_overhead",)

    def __init__(self) -> None:
        self._overhead = 0
        super().__init__()

    @property
    def head(self) -> tuple[int, Headers] | None:
        """Status and headers, once they are there."""
        if self._headers is None or self._status < _FIRST_FINAL_STATUS:
            return None
        return self._status, self._headers

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            UpstreamFailed: it is no HTTP response, or says much without a body's byte.
        """
        self._overhead += len(data)
        self._parse(data)
        if self._overhead > _MAX_OVERHEAD and not self.is_complete:
            raise UpstreamFailed("The service's answer has a larger head than may be")

    def take(self) -> bytes:
        """Return what has come of the body since the last time."""
        taken = self._join()
        self._parts.clear()
        return taken

    def finish(self) -> None:
        """Take the connection's end as the response's; raises `UpstreamFailed` if it was cut off."""
        if not self.is_complete:
            self._end()

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body, and count anew."""
        super().on_body(body)
        self._overhead = 0
