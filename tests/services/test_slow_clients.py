"""Callers who are slow, or many, as real processes meet them; the rules themselves are tested with a clock."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, PROOF, prove
from tests.harness.system import RunningProcess, running_crud
from tests.services.duplex import END, chunked, duplex
from tests.services.edge_gateways import running_gateway
from tests.services.raw_http import parse, statuses_in

BOTH = pytest.mark.parametrize("port", ["gateway_port", "crud_port"])
SECONDS = 1.0
"""Of patience; crud, which hears callers through a gateway, has twice as much."""
LATEST = 5.0
LONGER = 5 * SECONDS
"""Than even crud waits: it may take a second look before it is sure that nothing came."""
HEAD = b"POST /settings HTTP/1.1\r\nHost: 127.0.0.1\r\n" + PROOF
POST = HEAD + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A gateway and a crud of little patience."""
    settings = {"SARVANOM_HEADER_TIMEOUT": str(SECONDS), "SARVANOM_BODY_TIMEOUT": str(SECONDS)}
    with (
        running_crud(tmp_path_factory.mktemp("crud"), **settings) as crud,
        running_gateway(tmp_path_factory.mktemp("gateway"), crud.crud_port, **settings) as gateway,
    ):
        yield gateway


def trickle(port: int, start: bytes, piece: bytes) -> tuple[bytes, float]:
    """Send a piece again and again until the server has had enough; return its answer, and after how long it came."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS / 10) as connection:
        connection.sendall(start)
        received = b""
        while time.monotonic() - began < LATEST:
            try:
                connection.sendall(piece)
                received += (more := connection.recv(65_536))
                if not more:
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
    return received, time.monotonic() - began


@BOTH
@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"GET /health HTTP/1.1\r\n", b"X-A: b\r\n"), (POST, b" ")],
    ids=["head", "body"],
)
def test_who_trickles_is_told_so_and_cut_off(hasty: RunningProcess, start: bytes, piece: bytes, port: str) -> None:
    answer, seconds = trickle(getattr(hasty, port), prove(start), piece)
    assert statuses_in(answer) == [408]
    assert parse(answer).json()["code"] == "request_timeout"
    assert SECONDS <= seconds < LATEST


@BOTH
def test_who_says_nothing_is_cut_off_without_a_word(hasty: RunningProcess, port: str) -> None:
    with socket.create_connection(("127.0.0.1", getattr(hasty, port)), timeout=LATEST) as connection:
        assert connection.recv(65_536) == b""


@BOTH
def test_who_does_not_read_while_an_import_waits_is_not_cut_off(hasty: RunningProcess, port: str) -> None:
    """Results that are not read hold up the import, and the import its sender: nobody may blame that on the sender."""
    prefix, value = f"a{uuid4().hex}", b"x" * 500
    lines = [b'{"setting_key": "%b%d", "setting_value": "%b"}' % (prefix.encode(), n, value) for n in range(30_000)]
    body = chunked(lines) + END  # made before the request begins, whose sender would be silent meanwhile
    with duplex(getattr(hasty, port), "/settings") as stream, ThreadPoolExecutor(1) as pool:
        stream.connection.settimeout(60)
        sent = pool.submit(stream.connection.sendall, body)
        assert 0 < created_until_it_waits(hasty, prefix) < len(lines)
        assert b"200" in stream.read_head()
        results = stream.rest()
        sent.result()
    assert [result["outcome"] for result in results] == ["created"] * len(lines)


def created_until_it_waits(system: RunningProcess, prefix: str) -> int:
    """Return how many settings have this prefix, once no more have come for longer than anybody is waited for."""
    query = {"setting_key__prefix": prefix, "include_total": "true", "limit": "1"}
    with httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS) as client:
        total, since = 0, time.monotonic()
        while time.monotonic() - since < LONGER:
            before, total = total, client.get("/settings", params=query).json()["metadata"]["total"]
            if total > before:
                since = time.monotonic()
            time.sleep(SECONDS / 10)
    return int(total)


@BOTH
def test_an_import_whose_lines_come_one_by_one_goes_on(hasty: RunningProcess, port: str) -> None:
    prefix = uuid4().hex
    with duplex(getattr(hasty, port), "/cache") as stream:
        for number in range(6):
            stream.send(b'{"key": "%s-%d", "value": 1}' % (prefix.encode(), number))
            if not number:
                stream.read_head()
            assert stream.result()["outcome"] == "created"
            time.sleep(SECONDS / 2)
        stream.end()
        assert stream.rest() == []


def test_one_address_has_its_share_of_connections(hasty: RunningProcess, tmp_path: Path) -> None:
    settings = {"SARVANOM_MAX_CONNECTIONS_PER_ADDRESS": "3"}
    with running_gateway(tmp_path, hasty.crud_port, **settings) as few, ExitStack() as stack:
        clients = [stack.enter_context(httpx2.Client(base_url=few.gateway_url)) for _ in range(4)]
        deadline = time.monotonic() + LATEST
        while clients[0].get("/health").status_code != 200:
            assert time.monotonic() < deadline, "the probe of the start has gone by now"
        answers = [client.get("/health") for client in clients]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
        assert answers[3].json()["code"] == "service_unavailable"
        clients[0].close()
        deadline = time.monotonic() + LATEST
        while (status := clients[3].get("/health").status_code) != 200:
            assert (status, time.monotonic() < deadline) == (503, True)
