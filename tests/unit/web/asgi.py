"""An ASGI server for one request: what it hands to an application, and what the application sends back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.security.principals import Principal
from sarvanom.security.statements import HEADER
from sarvanom.web.authorization import PRINCIPAL
from tests.harness.identity import ADMINISTRATOR, STATEMENTS


@dataclass
class Answer:
    """What an application sent."""

    scope: Scope
    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name; a name that comes twice is a failure."""
        names = [name for name, _ in self.messages[0]["headers"]]
        assert len(names) == len(set(names)), names
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def http_scope(
    method: str = "GET", path: str = "/", headers: Iterable[tuple[bytes, bytes]] = (), **more: Any
) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("192.0.2.7", 50000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


async def ask(
    app: ASGIApp, scope: Scope | None = None, *, body: Sequence[bytes] = (b"",), answer: Answer | None = None
) -> Answer:
    """Serve one request; `answer`, if given, also has what was sent before the application raised."""
    scope = scope or http_scope()
    answer = answer or Answer(scope)
    chunks = list(body)

    async def receive() -> Message:
        if not chunks:
            return {"type": "http.disconnect"}
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        answer.messages.append(message)

    await app(scope, receive, send)
    return answer


class Known:
    """Middleware that lets an administrator ask, or whoever is given."""

    def __init__(self, app: ASGIApp, principal: Principal = ADMINISTRATOR) -> None:
        self._app = app
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PRINCIPAL] = self._principal
        await self._app(scope, receive, send)


def signed_scope(
    method: str,
    path: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    *,
    principal: Principal = ADMINISTRATOR,
) -> dict[str, Any]:
    """Return the scope of a request to crud, with what a gateway states of it."""
    statement = STATEMENTS.sign(principal, method, path.encode(), headers, body)
    return http_scope(method, path, [*headers, (HEADER, statement)])


class Replying:
    """An application that always gives the same answer, from messages that it keeps."""

    def __init__(self, *headers: tuple[bytes, bytes], status: int = 200, body: bytes = b"{}") -> None:
        self.start: Message = {"type": "http.response.start", "status": status, "headers": list(headers)}
        self.end: Message = {"type": "http.response.body", "body": body}
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await send(self.start)
        await send(self.end)


class Raising:
    """An application that raises, after sending what it is told to."""

    def __init__(self, error: BaseException, *messages: Message) -> None:
        self.error = error
        self.messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            await send(message)
        raise self.error


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with the length of the body it read."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Untouched:
    """An application for scopes that middleware must hand on as they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.got = (scope, receive, send)


async def is_untouched(middleware: ASGIApp, app: Untouched) -> bool:
    """Whether a lifespan scope passes the middleware with nothing wrapped around it."""
    scope: Scope = {"type": "lifespan"}

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await middleware(scope, receive, send)
    return app.got == (scope, receive, send) and scope == {"type": "lifespan"}
