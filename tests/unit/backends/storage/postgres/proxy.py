"""A network between a store and its database that can be cut, go silent, or lose one answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

COMMIT = b"Q\0\0\0\x0bCOMMIT\0"


class Proxy:
    """Forwards TCP to a server; `is_silent` swallows everything, `cut` resets all connections.

    `lose_answer_to` forwards the next message that has these bytes and cuts its connection when the answer comes,
    `lose` cuts instead of forwarding it; with `refuses_then` whoever connects afterwards is cut off too. `asked` is all
    that clients have sent.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self._target = parts.hostname, parts.port
        self._url = parts
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_silent = False
        self.refuses = False
        self.refuses_then = False
        self.lose: bytes | None = None
        self.lose_answer_to: bytes | None = None
        self.asked = bytearray()

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        login = self._url.netloc.rpartition("@")[0]
        return self._url._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()

    @property
    def connections(self) -> int:
        return len(self._writers) // 2

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair((reader, writer), server)
        self._writers |= {writer, server[1]}
        try:
            await asyncio.gather(self._ask(pair), self._answer(pair))
        finally:
            pair.cut()
            self._writers -= {writer, server[1]}

    async def _ask(self, pair: "Pair") -> None:
        async for data in received(pair.client[0]):
            self.asked += data
            if self.is_silent:
                continue
            if self.lose and self.lose in data:
                self.lose, self.refuses = None, self.refuses_then
                break
            if self.lose_answer_to and self.lose_answer_to in data:
                self.lose_answer_to, self.refuses, pair.loses_answer = None, self.refuses_then, True
            pair.server[1].write(data)
            await pair.server[1].drain()
        pair.cut()

    async def _answer(self, pair: "Pair") -> None:
        async for data in received(pair.server[0]):
            if pair.loses_answer:
                break
            if not self.is_silent:
                pair.client[1].write(data)
                await pair.client[1].drain()
        pair.cut()


type Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pair:
    """A connection from a client and the one to the server that it stands for."""

    def __init__(self, client: Stream, server: Stream) -> None:
        self.client = client
        self.server = server
        self.loses_answer = False

    def cut(self) -> None:
        self.client[1].transport.abort()
        self.server[1].transport.abort()


async def received(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while data := await reader.read(1 << 18):
            yield data
    except OSError:
        return


@asynccontextmanager
async def running_proxy(url: str) -> AsyncIterator[Proxy]:
    """Put a network before the database."""
    proxy = Proxy(url)
    proxy._server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    try:
        yield proxy
    finally:
        proxy._server.close()
        proxy.refuses = True
        proxy.cut()
        await proxy._server.wait_closed()
