"""An answer whose head and body leave together: one system call where uvicorn makes two, and one packet to read."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_LARGE: Final = 64 * 1024
"""From here on copying a body costs more than sending it from where it is."""


class JoinedAnswer:
    """Stands between one request's cycle and its transport, and keeps the head back until the body follows.

    If none follows while the event loop is busy with this request, as with a stream, the head leaves alone.
    """

    __slots__ = ("_begun", "_cycle", "_head", "_loop", "_transport")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle = cycle
        self._transport = transport
        self._loop = loop
        self._begun = False
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send, or keep, what comes next."""
        if self._head is not None:
            head, self._head = self._head, None
            if len(data) >= _LARGE:
                self._transport.write(head)
                self._transport.write(data)
            else:
                self._transport.write(head + data)
        elif self._cycle.response_started and not self._begun:
            self._begun = True
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close the transport, once what was kept has been sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the transport is closing."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self._transport.is_closing():
            self._transport.write(head)
