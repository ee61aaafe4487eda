"""From an application's messages to the bytes of an HTTP/1.1 answer, in uvicorn's place where most answers go."""

import asyncio
from typing import Final

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

_LARGE: Final = 64 * 1024
"""From here on copying a body costs more than sending it from where it is."""
_CONTENT_LENGTH: Final = b"content-length"
_TRANSFER_ENCODING: Final = b"transfer-encoding"
_CONNECTION: Final = b"connection"
_FRAMING: Final = frozenset({_CONTENT_LENGTH, _TRANSFER_ENCODING, _CONNECTION})
_BODILESS: Final = (204, 304)
_UNFIT: Final = bytes({*range(0x20), 0x7F} - {ord("\t")})
"""What may stand in no header (RFC 9110, section 5.5)."""
_LINE_END: Final = b"\r\n"
_MAX_REMEMBERED: Final = 1024


class _Names(dict[bytes, bytes]):
    """The names of headers as they are sent, each looked at once."""

    def __missing__(self, name: bytes) -> bytes:
        if not name or HEADER_RE.search(name):
            raise RuntimeError(f"{name!r} is no name of a header")
        sent = name.lower()
        if len(self) < _MAX_REMEMBERED:
            self[name] = sent
        return sent


_names: Final = _Names()


class _Framing:
    """What the headers of an answer say of its body, as uvicorn reads them, and of the connection."""

    __slots__ = ("closes", "is_chunked", "length")

    def __init__(self) -> None:
        self.closes = False
        self.is_chunked: bool | None = None
        self.length = 0

    def note(self, name: bytes, value: bytes) -> None:
        """Take one of the headers in `_FRAMING`."""
        if name == _CONTENT_LENGTH:
            if self.is_chunked is None:
                self.length = int(value)
                self.is_chunked = False
        elif name == _TRANSFER_ENCODING:
            if value.lower() == b"chunked":
                self.length = 0
                self.is_chunked = True
        elif b"close" in [token.strip() for token in value.lower().split(b",")]:
            self.closes = True


class AnswerWriter:
    """Stands between one request's cycle and its transport, and sends an answer as uvicorn's cycle would.

    The head is kept back until the body follows: one system call, and one packet to read. If none follows while the
    event loop is busy with this request, as with a stream, the head leaves alone.
    """

    __slots__ = ("_cycle", "_head", "_loop", "_transport")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def take_over(self, cycle: RequestResponseCycle) -> None:
        """Send the answer in the cycle's place; after a whole one, it has back what it had."""
        cycle.transport = self  # type: ignore[assignment]
        cycle.send = self.send  # type: ignore[method-assign,assignment]

    async def send(self, message: Message) -> None:
        """Take a message of the application, once there is room for it.

        Raises:
            RuntimeError: the message has no place here, a header cannot be sent, or the length is not the one declared.
        """
        cycle = self._cycle
        if cycle is not None and cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
            cycle = self._cycle
        if cycle is None:
            raise RuntimeError(f"The answer is complete, and {message['type']!r} follows it")
        if cycle.disconnected:
            return
        if not cycle.response_started:
            self._begin(cycle, message)
            return
        if cycle.chunked_encoding or message["type"] != "http.response.body" or cycle.scope["method"] == "HEAD":
            if cycle.scope["method"] == "HEAD":
                self._flush()  # no body takes it along, and what comes after the answer must not come before it
            await RequestResponseCycle.send(cycle, message)  # type: ignore[arg-type]
        else:
            self._go_on(cycle, message.get("body", b""), more=message.get("more_body", False))
        if cycle.response_complete:
            # Neither refers to the other from here on, so that they go without a collection of garbage.
            self._cycle = None
            cycle.transport = self._transport
            del cycle.send

    def write(self, data: bytes) -> None:
        """Send what comes next, with what was kept."""
        head, self._head = self._head, None
        if head is None:
            self._transport.write(data)
        elif len(data) >= _LARGE:
            self._transport.write(head)
            self._transport.write(data)
        else:
            self._transport.write(head + data)

    def close(self) -> None:
        """Close the transport, once what was kept has been sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the transport is closing."""
        return self._transport.is_closing()

    def _begin(self, cycle: RequestResponseCycle, message: Message) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"An answer begins with http.response.start, not with {message['type']!r}")
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        status: int = message["status"]
        lines = [STATUS_LINE[status].removesuffix(_LINE_END)]
        framing = _Framing()
        for given, value in (*cycle.default_headers, *message.get("headers", ())):
            name = _names[given]
            lines.append(b"%b: %b" % (name, value))
            if name in _FRAMING:
                framing.note(name, value)
        if not (cycle.keep_alive or framing.closes):
            lines.append(b"connection: close")
        if framing.is_chunked is None and cycle.scope["method"] != "HEAD" and status not in _BODILESS:
            framing.is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        head = _LINE_END.join(lines)
        if len(head.translate(None, _UNFIT)) + len(_LINE_END) * (len(lines) - 1) < len(head):
            raise RuntimeError("A header holds a control character")
        cycle.chunked_encoding = framing.is_chunked
        cycle.expected_content_length = framing.length
        cycle.keep_alive = cycle.keep_alive and not framing.closes
        self._head = head + 2 * _LINE_END
        self._loop.call_soon(self._flush)

    def _go_on(self, cycle: RequestResponseCycle, body: bytes, *, more: bool) -> None:
        left = cycle.expected_content_length - len(body)
        if left < 0:
            raise RuntimeError("The body is longer than its Content-Length")
        cycle.expected_content_length = left
        self.write(body)
        if not more:
            if left:
                raise RuntimeError("The body is shorter than its Content-Length")
            cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                self.close()
            cycle.on_response()

    def _flush(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self._transport.is_closing():
            self._transport.write(head)
