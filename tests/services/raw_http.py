"""HTTP as bytes: for requests that no decent client would send."""

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.harness.identity import identity_lines

_LONGEST = 10.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def ask(
    port: int, target: str | bytes, method: str = "GET", headers: Sequence[str] = (), body: bytes | None = None
) -> RawAnswer:
    """Send an administrator's request whose target stands in it exactly as given, and return the answer."""
    target = target.encode("latin-1") if isinstance(target, str) else target
    headers = [*headers, *identity_lines(method, target, headers, body or b"")]
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close"]
    lines += [header.encode("latin-1") for header in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    answer = exchange(port, b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))
    return parse(answer)


def exchange(port: int, sent: bytes, *, quiet: float | None = None) -> bytes:
    """Send bytes and return what comes back until the server closes, or has been silent for `quiet` seconds."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=_LONGEST) as connection:
        # A server may close before it has read everything that it refuses.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        connection.settimeout(quiet or _LONGEST)
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        except TimeoutError:
            if quiet is None:
                raise AssertionError(f"The server kept the connection open after {bytes(received)!r}") from None
    return bytes(received)


def parse(answer: bytes) -> RawAnswer:
    """Return the one answer that the bytes hold."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return RawAnswer(int(status_line.split(" ")[1]), headers, body)


def statuses_in(answers: bytes) -> list[int]:
    """Return the status of every answer in a row of them."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
