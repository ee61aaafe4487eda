"""Send a file to crud as one request and keep the answer: `python -m benchmarks.clients.upload PORT PATH FILE ANSWER`.

Sending and receiving overlap, over a bare socket, so that the client is not what is measured: the kernel sends the
file, and what comes back is stored as it is. Prints the seconds from the first byte sent to the last one received.
"""

import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.identity import statement

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n"
    "{statement}\r\n"
    "Content-Length: {size}\r\nConnection: close\r\n\r\n"
)
SILENCE_S = 60


def upload(port: int, path: str, file: Path, answer: Path) -> float:
    """Return how long it took."""
    with socket.create_connection(("127.0.0.1", port), timeout=SILENCE_S) as connection:
        begun = time.perf_counter()
        sender = threading.Thread(target=_send, args=(connection, path, file), daemon=True)
        sender.start()
        with answer.open("wb", buffering=0) as out, suppress(ConnectionResetError):  # the answer tells why
            while received := connection.recv(1 << 20):
                out.write(received)
        return time.perf_counter() - begun


def _send(connection: socket.socket, path: str, file: Path) -> None:
    with file.open("rb") as body, suppress(ConnectionError):
        signed = statement("POST", path, "application/x-ndjson")
        connection.sendall(HEAD.format(path=path, statement=signed, size=file.stat().st_size).encode())
        connection.sendfile(body)


if __name__ == "__main__":
    print(upload(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
