"""Watch the changes over many connections: `python -m benchmarks.clients.watch PORT WATCHERS`.

Prints `ready` when every watcher is being told of changes, watches until its standard input ends, and then prints one
JSON object: for each revision, when it arrived at each watcher (`CLOCK_MONOTONIC`, in ns).
"""

import json
import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass

from benchmarks.identity import AUTHORIZATION

REQUEST = (
    f"GET /changes HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: {AUTHORIZATION}\r\n\r\n"
).encode()
# A heartbeat may have an id too, but tells of no change.
CHANGE = re.compile(rb"(?:^|\n)id: (\d+)\nevent:")
COMMENT = re.compile(rb"(?:^|\n):")
START_S = 60


@dataclass(slots=True)
class Watcher:
    """One connection, and what has come of an event that is not whole yet."""

    connection: socket.socket
    rest: bytes = b""
    is_ready: bool = False


class Watchers:
    """All connections of this process."""

    def __init__(self, port: int, count: int) -> None:
        """Connect and ask, one after the other."""
        self.arrivals: dict[int, list[int]] = {}
        self._selector = selectors.DefaultSelector()
        self._waiting = count
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=START_S)
            connection.sendall(REQUEST)
            connection.setblocking(False)  # noqa: FBT003 -- that is how it is called
            self._selector.register(connection, selectors.EVENT_READ, Watcher(connection))

    def await_ready(self) -> None:
        """Wait for the first comment to every watcher."""
        deadline = time.monotonic() + START_S
        while self._waiting:
            if time.monotonic() > deadline:
                sys.exit(f"{self._waiting} watchers heard nothing for {START_S} s")
            self._receive(1.0)

    def run(self) -> None:
        """Receive until the standard input ends."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
        while self._receive(None):
            pass

    def _receive(self, seconds: float | None) -> bool:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                return False
            self._take(key.data)
        return True

    def _take(self, watcher: Watcher) -> None:
        received = watcher.connection.recv(1 << 18)
        now = time.monotonic_ns()
        text = watcher.rest + received
        if not received or (not watcher.is_ready and not text.startswith(b"HTTP/1.1 200"[: len(text)])):
            sys.exit(f"a watcher was cut off: {text[-500:]!r}")
        whole, _, watcher.rest = text.rpartition(b"\n\n")
        for revision in CHANGE.findall(whole):
            self.arrivals.setdefault(int(revision), []).append(now)
        if not watcher.is_ready and COMMENT.search(whole):
            watcher.is_ready = True
            self._waiting -= 1


if __name__ == "__main__":
    watchers = Watchers(int(sys.argv[1]), int(sys.argv[2]))
    watchers.await_ready()
    print("ready", flush=True)
    watchers.run()
    print(json.dumps(watchers.arrivals))
