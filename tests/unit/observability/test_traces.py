"""Spans to a collector that answers as it should not: nobody waits for it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from structlog.testing import capture_logs

from sarvanom.observability.traces import Traces
from sarvanom.shared.observations import StatementRun, tell
from sarvanom.shared.trace_context import Span, new_trace
from tests.harness.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"


@contextmanager
def bad_collector(answer: bytes, drip: bytes) -> Iterator[str]:
    """Run one that takes a request, answers something, and then drips without an end."""
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(2**16)
            connection.sendall(answer)
            while not stopped.wait(0.2):
                connection.sendall(drip)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def babbling_collector() -> Iterator[tuple[str, list[int]]]:
    """Run one whose answer has no end; yield how many bytes of it were taken, too."""
    taken = [0]

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(2**16)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    while True:
                        taken[0] += connection.send(bytes(2**20))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
        listener.shutdown(socket.SHUT_RDWR)


def run_statements(count: int) -> None:
    for _ in range(count):
        span = Span(new_trace(is_sampled=True), None, time.time_ns())
        tell(StatementRun("sqlite", "SELECT 1", "", 1, None, span))


@pytest.mark.parametrize(
    ("answer", "drip"),
    [(b"", b""), (HEAD, b"x"), (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), (b"\xff\x00\r\n\r\n", b"")],
    ids=["hangs", "drips its body", "drips its head", "is no HTTP"],
)
def test_nobody_waits_for_a_collector(answer: bytes, drip: bytes) -> None:
    with bad_collector(answer, drip) as url:
        traces = Traces(url, "crud", "1", "crud-0")
        traces.listen()
        began = time.monotonic()
        run_statements(5_000)  # more than are kept, and than are sent at once
        assert time.monotonic() - began < 5
        time.sleep(0.5)
        began = time.monotonic()
        traces.close()
        assert time.monotonic() - began < 1.8


def test_an_answer_without_an_end_is_not_kept() -> None:
    with babbling_collector() as (url, taken):
        traces = Traces(url, "crud", "1", "crud-0")
        traces.listen()
        run_statements(1)
        until(lambda: taken[0])
        time.sleep(0.5)
        traces.close()
        assert taken[0] < 2**26  # the most of it by the kernel


def test_a_collector_that_is_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with bad_collector(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", b"") as url, capture_logs() as lines:
        traces = Traces(url, "crud", "1", "crud-0")
        traces.listen()
        for _ in range(3):
            run_statements(1)
            time.sleep(1.1)
        traces.close()
    assert [line["event"] for line in lines] == ["traces cannot be sent: the collector does not take them"]
    assert caplog.records == []
