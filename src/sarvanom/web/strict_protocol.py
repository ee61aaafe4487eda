"""HTTP/1.1 as uvicorn speaks it, but for what can be read in two ways, or has no end."""

import secrets
from http import HTTPStatus
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sarvanom.shared.errors import HeadTooLarge, MalformedRequest, SarvanOMError, TargetTooLong
from sarvanom.shared.observations import RequestRefused, tell
from sarvanom.web.answer_writer import AnswerWriter
from sarvanom.web.problems import PROBLEM_JSON, problem_body
from sarvanom.web.targets import check_target

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_TARGET_BYTES: Final = 32 * 1024
_AROUND_A_HEADER: Final = len(b": \r\n")
_FRAMING: Final = (b"content-length", b"transfer-encoding")


class StrictProtocol(HttpToolsProtocol):
    """Refuses a request that cannot be read with certainty, once, and reads nothing that follows it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_is_open = False
        self._head_bytes = 0
        self._body_is_open = False
        self._is_chunked = False
        self._has_progressed = False
        self._idle_bytes = 0
        self._skipped: bytes | None = None
        """The framing of the body that the parser has skipped, "" if there is none."""
        self._refusal: SarvanOMError | None = None
        self.is_lingering = False
        """Whether everything was said, and the caller has yet to hear it."""

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head, trailer or chunk extension that does not end is cut off: nothing else bounds it."""
        if self._refusal is not None:
            return
        self._has_progressed = False
        self._parse(data)
        if self._has_progressed:
            self._idle_bytes = 0
            return
        self._idle_bytes += len(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            self.refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """Open the head."""
        if self._skipped is None:
            super().on_message_begin()
            self._head_is_open = True
            self._head_bytes = 0
            self._is_chunked = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        if self._head_is_open:
            super().on_url(url)
            if len(self.url) > MAX_TARGET_BYTES:
                raise TargetTooLong(f"The target of a request may have at most {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, and is dropped (RFC 9110, section 6.5.1)."""
        if not self._head_is_open:
            return
        size = len(name) + len(value) + _AROUND_A_HEADER
        self._head_bytes += size
        if size > MAX_HEADER_BYTES or self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            raise _head_too_large()
        if len(name) == len(b"transfer-encoding") and name.lower() == b"transfer-encoding":
            if self._is_chunked or value.strip(b" \t").lower() != b"chunked":
                raise MalformedRequest("Transfer-Encoding may be chunked, once, and nothing else")
            self._is_chunked = True
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Close the head."""
        self._has_progressed = True
        if self._skipped is not None:
            return
        version = self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or self._is_chunked):
            raise MalformedRequest("The version of HTTP must be 1.1, or 1.0 without chunks")
        check_target(self.url, self.headers)
        if self.parser.should_upgrade():
            self._skipped = self._framing()
        super().on_headers_complete()
        AnswerWriter(self.cycle, self.transport, self.loop).take_over(self.cycle)
        self._head_is_open = False
        self._body_is_open = True

    def on_body(self, body: bytes) -> None:
        """Note the progress."""
        self._has_progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the progress, unless the body was skipped and is yet to be read."""
        if not self._skipped:
            self._has_progressed = True
            self._body_is_open = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or to the end."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._answer(self._refusal)

    def refuse(self, error: SarvanOMError) -> None:
        """Answer with the error in the request's turn, or break its answer off, and close the connection."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = error
        cycle = self.cycle
        if self._body_is_open:
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
            elif cycle.response_complete:
                self.transport.close()
            elif cycle.response_started:
                self.transport.abort()
            else:
                cycle.disconnected = True
                cycle.message_event.set()
                self._answer(error)
        elif cycle is None or cycle.response_complete:
            self._answer(error)

    def _answer(self, error: SarvanOMError) -> None:
        request_id = secrets.token_hex(16)
        tell(RequestRefused(error.code, error.status, error.detail, request_id))
        body = problem_body(error, request_id)
        headers = {
            "Content-Type": PROBLEM_JSON,
            "Content-Length": len(body),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Request-ID": request_id,
            "Connection": "close",
            **error.headers,
        }
        lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
        lines += [f"{name.lower()}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
        if self.transport.can_write_eof():
            # What still comes is thrown away for a while: a caller who is sending would lose the answer to a reset.
            self.transport.write_eof()
            self.is_lingering = True
        else:
            self.transport.close()

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                data = memoryview(data)[upgrade.args[0] :]
                self._stay()
            except HttpParserError as error:
                found = error.__context__
                self.refuse(
                    found if isinstance(found, SarvanOMError) else MalformedRequest("The request is no HTTP/1.1")
                )
                return
            else:
                return

    def _stay(self) -> None:
        """Stay with HTTP/1.1, as a server may (RFC 9110, section 7.8), and read the body that the parser has skipped.

        Java's client, among others, asks for h2c with its first request, whether that has a body or not.
        """
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        if self._skipped:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + self._skipped + b"\r\n")
        self._skipped = None

    def _framing(self) -> bytes:
        """Return the headers that say how long the body is, or nothing if there is none."""
        if self.parser.get_method() == b"CONNECT":
            raise MalformedRequest("CONNECT is for proxies")
        framing = [header for header in self.headers if header[0] in _FRAMING and header[1].strip(b"0")]
        return b"".join(b"%b: %b\r\n" % header for header in framing)


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The head of a request may have at most {MAX_HEADERS} headers, {MAX_HEADER_BYTES} bytes in each, "
        f"and {MAX_HEAD_BYTES} in all"
    )
