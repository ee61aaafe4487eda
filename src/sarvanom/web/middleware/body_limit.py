"""How large a request body may be."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.shared.errors import InvalidHeader, PayloadTooLarge
from sarvanom.web.request_headers import NDJSON, declares

LINE_LIMIT: Final = "sarvanom.line_limit"
"""Where the scope keeps how many bytes a line may have, if the body is one of lines."""

LINE_ROUTES: Final = "sarvanom.line_routes"
"""Where the scope keeps which requests, by method and path, may have a body of lines."""

_MAX_DIGITS = 19


class BodyLimitMiddleware:
    """Refuses bodies of more than `limit` bytes: by their declared length, or as they come in if none is declared.

    A body of lines may be of any length where the route reads it as it comes in; for each of its lines the limit holds.

    Raises `PayloadTooLarge`, and `InvalidHeader` if the length, or what the body is, cannot be trusted.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = self._limited(scope, receive)
        await self._app(scope, receive, send)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        is_of_lines = (scope["method"], scope["path"]) in scope.get(LINE_ROUTES, ()) and declares(scope, NDJSON)
        if is_of_lines:
            scope[LINE_LIMIT] = self._limit
        length: bytes | None = None
        is_chunked = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                if length is not None:
                    raise InvalidHeader("Content-Length is given more than once")
                length = value
            elif name == b"transfer-encoding":
                is_chunked = True
        if length is not None:
            self._check_declared(length, is_chunked=is_chunked, is_limited=not is_of_lines)
            return receive
        if is_of_lines:
            return receive
        # Without either header an HTTP/1 request has no body (RFC 9112, 6.3); later versions need none to have one.
        if is_chunked or not scope["http_version"].startswith("1"):
            return self._counted(receive)
        return receive

    def _check_declared(self, length: bytes, *, is_chunked: bool, is_limited: bool) -> None:
        if is_chunked:
            raise InvalidHeader("Content-Length and Transfer-Encoding exclude each other")
        if not length.isdigit():
            raise InvalidHeader("Content-Length must be a number of bytes")
        if is_limited and (len(length) > _MAX_DIGITS or int(length) > self._limit):
            raise self._too_large()

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        return receive_counted

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body may have at most {self._limit} bytes")
