"""HTTP at little cost: one connection, one request at a time, every trouble a `CutOff`."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from httptools import HttpParserError, HttpResponseParser

from tests.harness.identity import identity_lines

ANSWER = 5.0
"""How many seconds a whole answer may take."""
SILENCE = 30.0
"""How many seconds a stream may be without as much as a heartbeat."""


class CutOff(Exception):
    """No whole answer came: what the request did, nobody knows."""


@dataclass
class Answer:
    """An answer as it comes in; the parser calls `on_…`."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    has_head: bool = False
    is_whole: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_whole = True

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def is_not_found(self) -> bool:
        """Whether there is no such resource, where there might be one."""
        return self.status == 404 and b'"not_found"' in self.body

    def json(self) -> Any:
        return orjson.loads(self.body)


class Connection:
    """A connection to one process, made when it is needed and again after trouble."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser: HttpResponseParser

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Return the whole answer; raises `CutOff` if there was none in time."""
        answer, parser = _incoming()
        try:
            async with asyncio.timeout(ANSWER):
                reader = await self._send(method, path, headers or {}, body)
                while not answer.is_whole:
                    await _receive(reader, parser)
        except (OSError, EOFError, HttpParserError) as error:
            self.close()
            raise CutOff(f"{method} {path}: {error!r}") from error
        except asyncio.CancelledError:
            self.close()
            raise
        answer.status = parser.get_status_code()
        if not parser.should_keep_alive():
            self.close()
        return answer

    async def begin(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the head of the answer to a GET; `follow` gives its body."""
        answer, self._parser = _incoming()
        try:
            async with asyncio.timeout(SILENCE):
                reader = await self._send("GET", path, headers, None)
                while not answer.has_head:
                    await _receive(reader, self._parser)
        except (OSError, EOFError, HttpParserError) as error:
            raise CutOff(f"GET {path}: {error!r}") from error
        answer.status = self._parser.get_status_code()
        return answer

    async def follow(self, answer: Answer) -> AsyncGenerator[bytes]:
        """Give the body's pieces as they come; raises `CutOff` when it ends or nothing has come for too long."""
        assert self._streams is not None
        reader, _ = self._streams
        while True:
            piece, answer.pieces = b"".join(answer.pieces), []
            yield piece
            if answer.is_whole:
                raise CutOff("the answer is over")
            try:
                async with asyncio.timeout(SILENCE):
                    await _receive(reader, self._parser)
            except (OSError, EOFError, HttpParserError) as error:
                raise CutOff(f"{error!r}") from error

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> asyncio.StreamReader:
        reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        lines += identity_lines(method, path, lines[1:], body or b"")
        writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return reader

    def close(self) -> None:
        """Drop the connection at once, whatever is under way."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _incoming() -> tuple[Answer, HttpResponseParser]:
    answer = Answer()
    return answer, HttpResponseParser(answer)


async def _receive(reader: asyncio.StreamReader, parser: HttpResponseParser) -> None:
    data = await reader.read(65536)
    if not data:
        raise EOFError
    parser.feed_data(data)
