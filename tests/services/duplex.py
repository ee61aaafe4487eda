"""A request whose lines go out while its results come in, as bytes."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import orjson

from tests.harness.identity import ADMIN_KEY, identity_lines

LONGEST = 20.0
END = b"0\r\n\r\n"
"""The last chunk."""


class Duplex:
    """One chunked POST: `send` lines, `result` after result; `end` the body."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = bytearray()
        self._body = bytearray()
        self.head = b""

    def send(self, *lines: bytes) -> Self:
        """Send lines, each as a chunk."""
        self.connection.sendall(chunked(lines))
        return self

    def end(self) -> Self:
        """End the body."""
        self.connection.sendall(END)
        return self

    def read_head(self) -> bytes:
        """Return the head of the answer, as soon as it is there."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self.head, self._received = head, bytearray(rest)
        return head

    def result(self) -> dict[str, Any]:
        """Return the next result, as soon as it is there."""
        while b"\n" not in self._body:
            assert self._read_chunk(), "the answer has ended"
        line, _, rest = bytes(self._body).partition(b"\n")
        self._body = bytearray(rest)
        result: dict[str, Any] = orjson.loads(line)
        return result

    def rest(self) -> list[dict[str, Any]]:
        """Return the results up to the end of the answer."""
        while self._read_chunk():
            pass
        return [orjson.loads(line) for line in bytes(self._body).splitlines()]

    def _read_chunk(self) -> bool:
        while b"\r\n" not in self._received:
            self._receive()
        size = int(bytes(self._received).partition(b"\r\n")[0], 16)
        start = self._received.index(b"\r\n") + 2
        while len(self._received) < start + size + 2:
            self._receive()
        self._body += self._received[start : start + size]
        del self._received[: start + size + 2]
        return size > 0

    def _receive(self) -> None:
        piece = self.connection.recv(2**16)
        assert piece, "the connection was closed"
        self._received += piece


def chunked(lines: Iterable[bytes]) -> bytes:
    """Return lines as they are sent, each as a chunk."""
    return b"".join(b"%x\r\n%b\n\r\n" % (len(line) + 1, line) for line in lines)


@contextmanager
def duplex(port: int, target: str, *headers: str, key: str = ADMIN_KEY) -> Iterator[Duplex]:
    """Begin a request with a body of lines."""
    lines = [f"POST {target} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/x-ndjson"]
    lines += ["Transfer-Encoding: chunked", *headers]
    lines += identity_lines("POST", target, lines[1:], None)
    head = "\r\n".join(lines).replace(ADMIN_KEY, key) + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(head.encode())
        yield Duplex(connection)
