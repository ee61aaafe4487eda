"""A service made of a raw socket, which says exactly what a test tells it to say, however wrong."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

type Talk = Callable[["Conversation"], Awaitable[None]]


@dataclass
class Peer:
    """What the service heard."""

    url: str = ""
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


@dataclass
class Conversation:
    """One connection, from the service's side; `number` counts connections from 1."""

    peer: Peer
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> bytes:
        """Return the next request, body included."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        request = head + (await self.reader.readexactly(int(length[1])) if length else b"")
        self.peer.requests.append(request)
        return request

    async def hear_head(self) -> bytes:
        """Return the next request's head alone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.peer.requests.append(head)
        return head

    async def hear_chunk(self) -> bytes:
        """Return the next chunk of the request's body; nothing is its end."""
        length = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(length + 2))[:-2]

    async def say(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    async def say_chunk(self, chunk: bytes) -> None:
        """Say a chunk of an answer's body; nothing is its end."""
        await self.say(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def reset(self) -> None:
        """Break the connection off, which is no end (RST in place of FIN)."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the client has closed."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


def answering(*answers: bytes) -> Talk:
    """Answer the requests of each connection with these in turn, the last one again and again."""

    async def talk(conversation: Conversation) -> None:
        turn = 0
        while True:
            await conversation.hear()
            await conversation.say(answers[min(turn, len(answers) - 1)])
            turn += 1

    return talk


def closing_after(*answers: bytes) -> Talk:
    """Answer that many requests of a connection, then close it."""

    async def talk(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.hear()
            await conversation.say(answer)

    return talk


@asynccontextmanager
async def serve(talk: Talk) -> AsyncIterator[Peer]:
    """Run the service; a conversation that ends closes its connection."""
    peer = Peer()
    talks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        peer.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await talk(Conversation(peer, peer.connections, reader, writer))
        finally:
            talks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    peer.url = f"http://127.0.0.1:{peer.port}"
    try:
        yield peer
    finally:
        server.close()
        running = list(talks)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


async def unused_port() -> int:
    """Return a port on which nothing listens."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
