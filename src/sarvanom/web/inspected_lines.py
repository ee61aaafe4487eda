"""A body of lines that is judged as it passes: a line that is blocked is refused by itself, and the others go on."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from pydantic_core import to_json
from starlette.types import Message, Receive, Send

from sarvanom.shared.errors import ContentBlocked

INLINE_BYTES: Final = 32 * 1024
"""What is judged at once; more is judged in a thread, so that others need not wait."""
_BLOCKED_LINE: Final = b"0"
"""Goes on in place of a line that is blocked: it is no item, so that it is refused, and keeps the others' numbers."""
_LF: Final = b"\n"


class InspectedLines:
    """The lines of one request, between the server and the application.

    What is longer than a line may be goes on unjudged, and is refused by whoever reads it.
    """

    def __init__(self, check: Callable[[bytes], None], limit: int, receive: Receive, send: Send) -> None:
        self._check = check
        self._limit = limit
        self._receive = receive
        self._send = send
        self._number = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._is_too_long = False
        self._ready: deque[bytes] = deque()
        self._blocked: dict[bytes, ContentBlocked] = {}
        self._unsent = b""

    async def receive(self) -> Message:
        """Return the next part of the body: whole lines, once each has been judged."""
        while not self._ready:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            has_more = message.get("more_body", False)
            body: bytes = message.get("body", b"")
            if len(body) + self._size > INLINE_BYTES:
                passed = await asyncio.to_thread(self._pass, body, is_last=not has_more)
            else:
                passed = self._pass(body, is_last=not has_more)
            if passed or not has_more:
                return {**message, "body": passed}
        return {"type": "http.request", "body": self._ready.popleft(), "more_body": True}

    async def send(self, message: Message) -> None:
        """Send a part of the answer; the result of a blocked line says why it was refused."""
        if message["type"] == "http.response.body" and (self._blocked or self._unsent):
            has_more = message.get("more_body", False)
            message = {**message, "body": self._explain(message.get("body", b""), is_last=not has_more)}
        await self._send(message)

    def _pass(self, chunk: bytes, *, is_last: bool) -> bytes:
        *ended, rest = chunk.split(_LF)
        passed = [self._end_line(text) + _LF for text in ended]
        if is_last:
            passed.append(self._end_line(rest))
        elif self._is_too_long:
            passed.append(rest)
        else:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                # One after another: put together, they would take their memory twice.
                self._is_too_long = True
                self._ready.extend(self._parts)
                self._parts.clear()
                self._size = 0
        return b"".join(passed)

    def _end_line(self, text: bytes) -> bytes:
        """Return what goes on of the line that ends with this text."""
        self._number += 1
        if self._is_too_long:
            self._is_too_long = False
            return text
        self._parts.append(text)
        line = self._take()
        if len(line) > self._limit or not line or line.isspace():
            return line
        try:
            self._check(line)
        except ContentBlocked as error:
            self._blocked[b'{"line":%d,' % self._number] = error
            return _BLOCKED_LINE
        return line

    def _take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return taken

    def _explain(self, chunk: bytes, *, is_last: bool) -> bytes:
        """Return results of lines, whole ones until the last, with those of blocked lines replaced."""
        *lines, self._unsent = (self._unsent + chunk).split(_LF)
        results = [self._result(line) + _LF for line in lines]
        if is_last:
            results.append(self._unsent)
            self._unsent = b""
        return b"".join(results)

    def _result(self, line: bytes) -> bytes:
        start = line[: line.find(b",") + 1]
        error = self._blocked.pop(start, None)
        if error is None:
            return line
        result = {
            "status": error.status,
            "outcome": "refused",
            "code": error.code,
            "detail": error.detail,
            "errors": [one._asdict() for one in error.errors],
        }
        return start + to_json(result)[1:]
