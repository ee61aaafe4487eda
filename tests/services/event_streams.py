"""Server-sent events over a plain socket, so that a test decides when it reads, and when it leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from tests.harness.identity import identity_lines

SECONDS = 20.0


@dataclass(slots=True)
class Block:
    """One block of a stream: its id and data if it has them, and its comment."""

    id: int | None = None
    event: str = ""
    data: bytes | None = None
    comment: str | None = None

    @classmethod
    def parse(cls, text: bytes) -> Self:
        block = cls()
        for line in text.decode().split("\n"):
            name, _, value = line.partition(": ")
            match name:
                case "id":
                    block.id = int(value)
                case "event":
                    block.event = value
                case "data":
                    block.data = value.encode()
                case "":
                    block.comment = value
                case _:
                    raise AssertionError(line)
        return block

    @property
    def change(self) -> Any:
        assert self.event == "change"
        assert self.data is not None
        change = orjson.loads(self.data)
        assert change["revision"] == self.id
        return change


@dataclass(slots=True)
class EventStream:
    """An open stream; `status` and `headers` are those of the answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    last_id: int | None = None
    _pending: bytearray = field(default_factory=bytearray)
    _scanned: int = 0

    async def begin(self, target: str, last_event_id: int | None, method: str, key: str | None) -> None:
        lines = [f"{method} {target} HTTP/1.1", "host: localhost", "accept: text/event-stream"]
        if last_event_id is not None:
            lines.append(f"last-event-id: {last_event_id}")
        lines += identity_lines(method, target, lines[1:]) if key is None else [f"authorization: Bearer {key}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = dict(line.split(": ", 1) for line in head[1:] if line)

    async def body(self) -> bytes:
        """Return the whole body of an answer that is no stream."""
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        return body

    async def block(self, seconds: float = SECONDS) -> Block:
        """Return the next block; raises `EOFError` at the end of the stream."""
        async with asyncio.timeout(seconds):
            while (end := self._pending.find(b"\n\n", self._scanned)) < 0:
                self._scanned = max(0, len(self._pending) - 1)
                size = int(await self.reader.readline() or b"0", 16)
                chunk = await self.reader.readexactly(size)
                await self.reader.readline()
                if size == 0:
                    raise EOFError
                self._pending += chunk
        block = Block.parse(bytes(self._pending[:end]))
        del self._pending[: end + 2]
        self._scanned = 0
        self.last_id = block.id if block.id is not None else self.last_id
        return block

    async def change(self) -> Any:
        """Return the next change, past heartbeats."""
        while (block := await self.block()).data is None:
            pass
        return block.change

    async def changes(self, count: int) -> list[Any]:
        return [await self.change() for _ in range(count)]

    async def to_end(self) -> int:
        """Read to the end of the stream; return how many changes came."""
        count = 0
        while True:
            try:
                count += (await self.block()).data is not None
            except EOFError:
                return count


@asynccontextmanager
async def open_stream(
    port: int,
    target: str = "/changes",
    *,
    last_event_id: int | None = None,
    method: str = "GET",
    limit: int = 2**16,
    key: str | None = None,
) -> AsyncIterator[EventStream]:
    """Ask for a stream, as the administrator if no key is given; leaving drops the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    stream = EventStream(reader, writer)
    try:
        await stream.begin(target, last_event_id, method, key)
        yield stream
    finally:
        writer.transport.abort()


@asynccontextmanager
async def watch(port: int, target: str = "/changes", *, last_event_id: int | None = None) -> AsyncIterator[EventStream]:
    """Open a stream that is there to stay, past its first block."""
    async with open_stream(port, target, last_event_id=last_event_id) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        first = await stream.block()
        assert first.id is not None
        assert (first.data, first.comment is None) == (None, False)
        yield stream
