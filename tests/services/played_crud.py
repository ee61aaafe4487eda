"""A server that plays crud, well or badly, and notes what reaches it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.harness.identity import administrators_key

OK: Final = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: "1"\r\nserver: crud\r\nx-inner: inner\r\n'
    b'content-length: 58\r\n\r\n{"status":"success","message":"m","data":{},"metadata":{}}'
)

_PROBE: Final = "GET /ready "
_QUESTION: Final = "POST /authenticate "


@dataclass(slots=True)
class PlayedCrud:
    """The heads of the requests that came in, but for the probes and questions that the gateway sends by itself."""

    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def play_crud(port: int, answer: bytes | None = OK, *, closes: bool = False) -> AsyncIterator[PlayedCrud]:
    """Listen where crud would: answer every request with these bytes, or with silence if there are none.

    Asked whose key it is, it answers that it is the administrator's.

    With `closes`, the connection ends after the answer, or after the request if there is no answer.
    """
    played = PlayedCrud()
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            while True:
                head = await _read_request(reader)
                if head.startswith(_QUESTION):
                    writer.write(_administrator())
                    await writer.drain()
                    continue
                if not head.startswith(_PROBE):
                    played.heads.append(head)
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
                if closes:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield played
    finally:
        server.close()
        for writer in list(open_writers):
            writer.transport.abort()
        await server.wait_closed()


def _administrator() -> bytes:
    body = administrators_key()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def _read_request(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return head.decode("latin-1")
