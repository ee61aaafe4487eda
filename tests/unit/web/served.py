"""A server of this process, over real sockets, whose clock the test turns."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from sarvanom.web.connections import ConnectionGuard, ConnectionLimits
from sarvanom.web.protocol import ProblemProtocol

PATIENCE = 10.0


@dataclass
class Caller:
    """One connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: ProblemProtocol

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Return what comes until the server closes."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read()
        except ConnectionError:
            return b""

    @property
    def is_open(self) -> bool:
        return not self.protocol.transport.is_closing()


@dataclass
class Server:
    """The server, and the time that it believes in."""

    port: int
    guard: ConnectionGuard
    made: list[ProblemProtocol]
    callers: list[Caller] = field(default_factory=list)

    async def call(self, limit: int = 2**16) -> Caller:
        """Open a connection."""
        before = len(self.made)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        await until(lambda: len(self.made) > before and self.made[before].transport is not None)
        self.callers.append(Caller(reader, writer, self.made[before]))
        return self.callers[-1]

    def pass_time(self, seconds: float) -> None:
        self.guard.look(self.guard.now + seconds)


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (no event says so)
            await asyncio.sleep(0.001)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, and answer with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % length
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(
    app: ASGIApp = hello, limits: ConnectionLimits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve the application; its time stands still until the test lets it pass."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    state = ServerState()
    guard = ConnectionGuard(limits)
    made: list[ProblemProtocol] = []

    def connect() -> ProblemProtocol:
        made.append(ProblemProtocol(config, state, {}, guard=guard))
        return made[-1]

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(connect, "127.0.0.1", 0, ssl=tls)
    server = Server(listening.sockets[0].getsockname()[1], guard, made)
    try:
        yield server
    finally:
        listening.close()
        for caller in server.callers:
            caller.writer.transport.abort()
        for protocol in list(state.connections):
            protocol.transport.abort()
        await until(lambda: not state.connections and not state.tasks)
