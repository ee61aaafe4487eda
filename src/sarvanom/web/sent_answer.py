"""What has been sent of an answer, and what is added to its head: one place for all middleware that asks."""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Final

from starlette.types import Message, Scope, Send

SENT: Final = "sarvanom.sent"


class SentAnswer:
    """One answer on its way out. `added` replaces headers of the same names, `fallbacks` only stand in for them.

    `status` is 0 and `began_at` None until the answer has begun; `size` is in bytes of its body.
    """

    __slots__ = ("_send", "added", "began_at", "clock", "fallbacks", "is_complete", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.added: dict[bytes, bytes] = {}
        self.fallbacks: Sequence[tuple[bytes, bytes]] = ()
        self.clock: Callable[[], float] = perf_counter
        self.status = 0
        self.began_at: float | None = None
        self.size = 0
        self.is_complete = False

    def send(self, message: Message) -> Awaitable[None]:
        """Pass on what the application sends."""
        kind = message["type"]
        if kind == "http.response.body":
            self.size += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        elif kind == "http.response.start":
            self.status = message["status"]
            self.began_at = self.clock()
            added = self.added
            headers = [header for header in message.get("headers", ()) if header[0] not in added]
            if self.fallbacks:
                own = {name for name, _ in headers}
                headers += [header for header in self.fallbacks if header[0] not in own]
            headers += added.items()
            message = {**message, "headers": headers}
        return self._send(message)


def sent_answer(scope: Scope, send: Send) -> tuple[SentAnswer, Send]:
    """Return the answer of a request, and what the application is to send it with; the outermost caller begins it."""
    sent: SentAnswer | None = scope.get(SENT)
    if sent is None:
        sent = scope[SENT] = SentAnswer(send)
        return sent, sent.send
    return sent, send
