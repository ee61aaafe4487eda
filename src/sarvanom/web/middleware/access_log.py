"""One line for every request."""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

ROUTE = "sarvanom.route"
"""Where the scope keeps the path template that matched, such as `/users/{user_id}`."""

_CLIENT_CLOSED_REQUEST = 499


class AccessLogMiddleware:
    """Logs method, route, status, time, size and client, but no path, which may hold what is nobody's business.

    An answer that was not finished is marked `aborted`; its status is 499 if it had not even begun. If the logger drops
    `level`, requests pass untouched.
    """

    def __init__(
        self,
        app: ASGIApp,
        logger: FilteringBoundLogger,
        level: int = logging.INFO,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._app = app
        self._is_on = logger.is_enabled_for(level)
        self._log = getattr(logger, logging.getLevelName(level).lower())
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._is_on:
            await self._app(scope, receive, send)
            return
        began = self._clock()
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            # The server answers this way for an application that raised before it answered.
            answer.status = answer.status or 500
            raise
        finally:
            self._write_line(scope, answer, self._clock() - began)

    def _write_line(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        client = scope["client"]
        aborted = {} if answer.is_complete else {"aborted": True}
        self._log(
            "request",
            method=scope["method"],
            route=scope.get(ROUTE) or _framework_route(scope),
            status=answer.status or _CLIENT_CLOSED_REQUEST,
            duration_ms=int(seconds * 1_000_000) / 1000,
            bytes=answer.size,
            client=client[0] if client else None,
            **aborted,
        )


class _Answer:
    """What was sent in answer to one request."""

    __slots__ = ("_send", "is_complete", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.size = 0
        self.is_complete = False

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        return self._send(message)


def _framework_route(scope: Scope) -> str:
    template: str = getattr(scope.get("route"), "path", "unmatched")
    return template
