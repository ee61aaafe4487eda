"""Bodies of lines over real connections: both ways at once, a bad line alone, nothing held for who does not go on."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, BEARER
from tests.harness.system import RunningProcess, running_system
from tests.services.answers import fields_of, problem_of
from tests.services.commands import children
from tests.services.duplex import duplex

NDJSON = {"content-type": "application/x-ndjson"}
LINES = 50_000
MOST_TAKEN = 50_000_000


def setting(key: str, value: object = 1) -> bytes:
    return json.dumps({"setting_key": key, "setting_value": value}).encode()


def post(http: httpx2.Client, target: str, *lines: bytes, **headers: str) -> list[dict[str, Any]]:
    answer = http.post(target, content=b"\n".join(lines), headers={**NDJSON, **headers})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson"), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A system of its own, whose memory nobody else's requests change."""
    with running_system(tmp_path_factory.mktemp("bulk"), SARVANOM_LOG_LEVEL="warning") as running:
        yield running


@pytest.fixture(params=["gateway", "crud"])
def port(request: pytest.FixtureRequest, system: RunningProcess) -> int:
    """Where the gateway listens, then crud."""
    return {"gateway": system.gateway_port, "crud": system.crud_port}[request.param]


def test_a_result_comes_before_the_next_line_is_sent(port: int, id: str) -> None:
    with duplex(port, "/settings") as request:
        for number in range(5):
            key = f"{id}-{number}"
            result = request.send(setting(key)).result() if number else first_result(request, setting(key))
            assert (result["line"], result["status"], result["id"]) == (number + 1, 201, key)
        assert request.end().rest() == []


def first_result(request: Any, line: bytes) -> dict[str, Any]:
    request.send(line)
    assert request.read_head().startswith(b"HTTP/1.1 200 ")
    result: dict[str, Any] = request.result()
    return result


def test_who_leaves_midway_keeps_what_was_answered(port: int, http: httpx2.Client, id: str) -> None:
    with duplex(port, "/settings") as request:
        first_result(request, setting(f"{id}-1"))
        request.send(setting(f"{id}-2")).result()
        half = setting(f"{id}-3")
        request.connection.sendall(b"%x\r\n%s\r\n" % (len(half), half))
    time.sleep(0.2)
    assert [http.get(f"/settings/{id}-{number}").status_code for number in (1, 2, 3)] == [200, 200, 404]


def test_a_line_that_is_too_long_is_refused_alone(http: httpx2.Client, id: str) -> None:
    long = setting(f"{id}-2", "x" * 10 * 2**20)
    limit = {"sarvanom-line-limit": str(10 * 2**20)}  # as the gateway tells crud
    results = post(http, "/settings", setting(f"{id}-1"), long, b"", setting(f"{id}-3"), **limit)
    assert [(result["line"], result["status"]) for result in results] == [(1, 201), (2, 413), (4, 201)]
    assert (results[1]["outcome"], results[1]["code"]) == ("refused", "payload_too_large")


def test_the_gateways_limit_holds_for_lines(tmp_path: Path, id: str) -> None:
    lines = [*(setting(f"{id}-{number}", "x" * 1000) for number in range(9)), setting(id, "x" * 3000)]
    with (
        running_system(tmp_path, SARVANOM_MAX_BODY_BYTES="2048") as system,
        httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS) as http,
    ):
        results = post(http, "/settings", *lines, **{"sarvanom-line-limit": "999999"})
        assert [result["status"] for result in results] == [201] * 9 + [413]
        problem_of(http.put(f"/settings/{id}", content=b"x" * 3000, headers=NDJSON), 413, "payload_too_large")
        problem_of(http.put(f"/settings/{id}", content=b"x" * 2000, headers=NDJSON), 415, "unsupported_media_type")


def test_crlf_blank_lines_and_a_last_line_without_an_end(http: httpx2.Client, id: str) -> None:
    body = b"\r\n" + setting(f"{id}-1") + b"\r\n \t\r\n\n" + setting(f"{id}-2")
    answer = http.post("/settings", content=body, headers=NDJSON)
    assert [(line["line"], line["id"]) for line in map(json.loads, answer.text.splitlines())] == [
        (2, f"{id}-1"),
        (5, f"{id}-2"),
    ]


@pytest.mark.parametrize("body", [b"", b"\n\n", b" "])
def test_no_lines_are_no_results(http: httpx2.Client, body: bytes) -> None:
    answer = http.post("/settings", content=body, headers=NDJSON)
    assert (answer.status_code, answer.text) == (200, "")


def test_a_repeated_import_replays_line_by_line(http: httpx2.Client, id: str) -> None:
    key = {"idempotency-key": f'"{uuid4().hex}"'}
    post(http, "/settings", setting(f"{id}-2"))
    lines = [setting(f"{id}-1"), setting(f"{id}-2", 2), b"{bad", setting(f"{id}-3")]
    first = post(http, "/settings?on_conflict=replace", *lines, **key)
    assert [result["outcome"] for result in first] == ["created", "replaced", "refused", "created"]
    again = post(http, "/settings?on_conflict=replace", *lines, setting(f"{id}-4"), **key)
    assert [result.pop("replayed", False) for result in again] == [True, True, False, True, False]
    assert again[:4] == first
    assert again[4]["outcome"] == "created"
    other = post(http, "/settings?on_conflict=replace", setting(f"{id}-1", "other"), **key)
    assert [(result["status"], result["code"]) for result in other] == [(422, "idempotency_key_reused")]
    other = post(http, "/settings?on_conflict=skip", lines[0], **key)
    assert [result["code"] for result in other] == ["idempotency_key_reused"]


def test_parameters_and_media_types_are_checked_before_the_lines(http: httpx2.Client, id: str) -> None:
    answer = http.post("/settings?on_conflict=merge", content=setting(id), headers=NDJSON)
    assert fields_of(problem_of(answer, 422, "validation_failed")) == {"on_conflict"}
    answer = http.post("/settings?other=1", content=setting(id), headers=NDJSON)
    assert fields_of(problem_of(answer, 422, "validation_failed")) == {"other"}
    answer = http.post("/settings?on_conflict=skip", json=json.loads(setting(id)))
    problem_of(answer, 422, "validation_failed")
    for media_type in ("application/x-ndjson; charset=latin-1", "application/ndjson", "text/plain"):
        answer = http.post("/settings", content=setting(id), headers={"content-type": media_type})
        problem_of(answer, 415, "unsupported_media_type")
        assert answer.headers["accept"] == "application/json, application/x-ndjson"
    answer = http.post("/settings", content=setting(id), headers={**NDJSON, "content-encoding": "gzip"})
    problem_of(answer, 415, "unsupported_media_type")
    assert http.get(f"/settings/{id}").status_code == 404


def test_nobody_else_reads_a_body_of_any_length(http: httpx2.Client, id: str) -> None:
    for method, target in (("PUT", f"/settings/{id}"), ("PATCH", f"/settings/{id}")):
        answer = http.request(method, target, content=setting(id), headers=NDJSON)
        problem_of(answer, 415, "unsupported_media_type")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(system: RunningProcess, id: str) -> None:
    with duplex(system.gateway_port, "/settings", "Expect: 100-continue") as request:
        assert request.read_head().startswith(b"HTTP/1.1 100 ")
        result = first_result(request, setting(id))
        assert result["status"] == 201


def test_who_stands_still_keeps_nobody_waiting(port: int, http: httpx2.Client, id: str) -> None:
    with duplex(port, "/settings") as request:
        first_result(request, setting(f"{id}-1"))
        request.connection.sendall(b"400\r\n" + b'{"setting_key":"')
        began = time.perf_counter()
        assert http.post("/settings", json=json.loads(setting(f"{id}-2"))).status_code == 201
        assert time.perf_counter() - began < 2


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def peaks(system: RunningProcess) -> dict[str, int]:
    return {name: peak(pid) for pid, name in children(system).items()}


def import_many(system: RunningProcess, id: str, count: int, target: str = "/models") -> bytes:
    """Send as many lines of 1 KB as fast as they are taken; return the results."""
    lines = b"".join(
        b'{"model_name":"%s/%d","provider":"p","parameters":{"text":"%s"}}\n' % (id.encode(), number, b"x" * 900)
        for number in range(count)
    )
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    head += f"{BEARER.decode()}Content-Length: {len(lines)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", system.gateway_port), timeout=60) as connection:
        sending = threading.Thread(target=lambda: connection.sendall(head.encode() + lines))
        sending.start()
        response = HTTPResponse(connection, method="POST")
        response.begin()
        results = response.read()
        sending.join()
    return results


def test_fifty_thousand_lines_take_no_more_memory_than_a_few(own: RunningProcess, id: str) -> None:
    import_many(own, f"{id}-warm", 30_000)  # until SQLite's page caches are full
    before = peaks(own)
    assert import_many(own, id, LINES).count(b'"outcome":"created"') == LINES
    grown = {name: size - before[name] for name, size in peaks(own).items()}
    assert grown["gateway"] < 8 * 1024, grown
    assert grown["crud"] < 32 * 1024, grown


def test_a_long_line_takes_no_more_memory_than_it_may_have(own: RunningProcess) -> None:
    with httpx2.Client(base_url=own.gateway_url, timeout=60, headers=ADMIN_HEADERS) as http:
        post(http, "/settings", b"x" * 2**20)
        before = peaks(own)
        [result] = post(http, "/settings", b"x" * 200 * 2**20)
    assert result["status"] == 413
    grown = {name: size - before[name] for name, size in peaks(own).items()}
    assert grown["gateway"] < 16 * 1024, grown  # it holds a line until it has judged it
    assert grown["crud"] < 32 * 1024, grown


def test_results_that_nobody_reads_stop_the_lines(own: RunningProcess, id: str) -> None:
    before = peaks(own)
    line = b'{"setting_key":"%s"}\n' % (b"x" * 200)  # what is refused is answered at length
    sent = 0
    head = b"POST /settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(3)
        connection.connect(("127.0.0.1", own.gateway_port))
        connection.sendall(head + BEARER + b"Content-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            while sent < MOST_TAKEN:
                sent += connection.send(line * 300)
        assert (
            httpx2.post(f"{own.gateway_url}/settings", json=json.loads(setting(id)), headers=ADMIN_HEADERS).status_code
            == 201
        )
    assert sent < MOST_TAKEN
    grown = {name: size - before[name] for name, size in peaks(own).items()}
    assert max(grown.values()) < 16 * 1024, grown
