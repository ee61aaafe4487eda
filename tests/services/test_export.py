"""Exports and restores over real connections, and the commands for them: whole or not at all, in bounded memory."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, BEARER
from tests.harness.system import RunningProcess, running_system
from tests.services.answers import data_of, fields_of, problem_of
from tests.services.commands import run
from tests.services.test_bulk import NDJSON, import_many, peaks

MANY = 20_000
LINES = {"accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A system that holds many models of 1 KB and one of everything else."""
    with running_system(tmp_path_factory.mktemp("filled"), SARVANOM_LOG_LEVEL="warning") as running:
        import_many(running, "m", MANY)
        with httpx2.Client(base_url=running.gateway_url, headers=ADMIN_HEADERS) as http:
            http.post("/users", json={"user_id": "ada", "username": "Ada", "email": "ada@example.org"})
            http.post("/datasets", json={"dataset_id": "d/1", "name": "One"})
            http.post("/settings", json={"setting_key": "s", "setting_value": [1, None, "\u00e9\n"]})
            http.post("/cache", json={"key": "c", "value": {}, "tags": ["t"], "ttl": None})
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningProcess]:
    """A system that was never used."""
    folder = tmp_path / "empty"
    folder.mkdir()
    with running_system(folder, SARVANOM_LOG_LEVEL="warning") as running:
        yield running


def untimed(text: bytes) -> bytes:
    return re.sub(rb'"exported_at":"[^"]+"', b"", text, count=1)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, */*;q=0.1", "application/x-ndjson;q=0"])
def test_a_list_is_a_page_unless_lines_are_asked_for(http: httpx2.Client, accept: str) -> None:
    answer = http.get("/settings", headers={"accept": accept})
    data_of(answer, 200)
    assert answer.headers["vary"].lower() == "accept"


def test_a_collection_comes_as_lines(http: httpx2.Client, id: str) -> None:
    for number in range(3):
        item = {"setting_key": f"{id}-{number}", "setting_value": "a\nb", "category": id}
        http.post("/settings", json=item)
    answer = http.get(f"/settings?category={id}&sort=-setting_key", headers=LINES)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.headers["vary"].lower() == "accept"
    items = [json.loads(line) for line in answer.text.splitlines()]
    assert [item["setting_key"] for item in items] == [f"{id}-2", f"{id}-1", f"{id}-0"]
    assert items[0] == http.get(f"/settings/{id}-2").json()["data"]
    answer = http.get(f"/settings?category={id}&fields=revision", headers=LINES)
    assert [set(json.loads(line)) for line in answer.text.splitlines()] == [{"setting_key", "revision"}] * 3
    head = http.head(f"/settings?category={id}", headers=LINES)
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/x-ndjson")


@pytest.mark.parametrize("parameter", ["limit=10", "cursor=abc", "skip=0", "include_total=false"])
def test_lines_have_no_pages(http: httpx2.Client, parameter: str) -> None:
    problem = problem_of(http.get(f"/settings?{parameter}", headers=LINES), 422, "validation_failed")
    assert fields_of(problem) == {parameter.partition("=")[0]}


def test_everything_takes_no_parameters(http: httpx2.Client) -> None:
    problem_of(http.get("/export?since=1"), 422, "validation_failed")
    problem_of(http.post("/import?force=1", content=b"", headers=NDJSON), 422, "validation_failed")
    problem_of(http.post("/import", content=b"{}"), 415, "unsupported_media_type")
    assert http.post("/export").headers["allow"] == "GET, HEAD"
    assert http.get("/import").headers["allow"] == "POST"


def test_what_is_exported_restores_and_exports_the_same(filled: RunningProcess, empty: RunningProcess) -> None:
    text = httpx2.get(f"{filled.gateway_url}/export", timeout=60, headers=ADMIN_HEADERS).content
    assert text.count(b"\n") == MANY + 7
    with httpx2.Client(base_url=empty.gateway_url, timeout=120, headers=ADMIN_HEADERS) as http:
        problem = problem_of(http.post("/import", content=text[:-100], headers=NDJSON), 400, "malformed_json")
        assert "Line " in problem["detail"]
        before = peaks(empty)
        data = data_of(http.post("/import", content=text, headers=NDJSON), 200)
        counts = {"cache": 1, "users": 1, "models": MANY, "datasets": 1, "settings": 1, "keys": 1, "accounts": 0}
        assert data == {"revision": json.loads(text.partition(b"\n")[0])["revision"], "items": counts}
        assert untimed(http.get("/export").content) == untimed(text)
        problem_of(http.post("/import", content=text, headers=NDJSON), 409, "store_not_empty")
    grown = {name: size - before[name] for name, size in peaks(empty).items()}
    assert grown["gateway"] < 16 * 1024, grown  # it holds a line until it has judged it
    assert grown["crud"] < 96 * 1024, grown  # the page caches of three connections


def test_exports_take_no_more_memory_than_pages(filled: RunningProcess) -> None:
    with httpx2.Client(base_url=filled.gateway_url, timeout=60, headers=ADMIN_HEADERS) as http:
        for target, headers in (("/models", LINES), ("/export", {})):
            http.get(target, headers=headers)
            before = peaks(filled)
            assert len(http.get(target, headers=headers).content) > 20_000_000
            grown = {name: size - before[name] for name, size in peaks(filled).items()}
            assert max(grown.values()) < 8 * 1024, grown


def test_a_slow_reader_sees_the_state_at_its_beginning(filled: RunningProcess) -> None:
    """It holds nobody up, and takes no memory: what it does not read is not made."""
    request = b"GET /export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", filled.gateway_port))
        connection.sendall(request.replace(b"\r\n", b"\r\n" + BEARER, 1))
        received = connection.recv(4096)
        before = peaks(filled)
        with httpx2.Client(base_url=filled.gateway_url, headers=ADMIN_HEADERS) as http:
            assert http.post("/settings", json={"setting_key": "late", "setting_value": 1}).status_code == 201
            assert http.delete("/settings/late").status_code == 204
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        received += b"".join(iter(lambda: connection.recv(2**20), b""))
        grown = {name: size - before[name] for name, size in peaks(filled).items()}
    assert b'"late"' not in received
    assert b'{"end":true,"items":%d}' % (MANY + 5) in received[-200:]
    assert max(grown.values()) < 8 * 1024, grown


def test_an_upload_that_stands_still_keeps_nobody_waiting_and_leaves_nothing(empty: RunningProcess) -> None:
    head = (
        b"POST /import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 999\r\n\r\n"
    )
    line = b'{"format":"sarvanom-export","version":1,"revision":9,"sequences":{"cache":0},'
    line += b'"exported_at":"2026-01-01T00:00:00Z"}\n'
    with (
        socket.create_connection(("127.0.0.1", empty.gateway_port)) as connection,
        httpx2.Client(base_url=empty.gateway_url, headers=ADMIN_HEADERS) as http,
    ):
        connection.sendall(head.replace(b"\r\n", b"\r\n" + BEARER, 1) + line)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert (
            http.post("/settings", json={"setting_key": "a", "setting_value": 1}).json()["data"]["revision"] == 2
        )  # the administrator's key was the first


@pytest.fixture
def cut_export() -> Iterator[str]:
    """The URL of something that breaks every export off."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_the_commands_take_everything_from_one_store_to_another(
    filled: RunningProcess, empty: RunningProcess, tmp_path: Path
) -> None:
    ran = run(["export", "--output", "all.ndjson", "--url", filled.gateway_url], tmp_path, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    ran = run(["import", "all", "all.ndjson", "--url", empty.gateway_url], tmp_path, timeout=120)
    said = (
        rf"Restored revision 20,0\d\d: 1 cache, 1 users, {MANY:,} models, 1 datasets, 1 settings, 1 keys, 0 accounts\n"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(said, ran.stdout)
    ran = run(["export", "--url", empty.gateway_url], tmp_path, timeout=60)
    assert untimed(ran.stdout.encode()) == untimed((tmp_path / "all.ndjson").read_bytes())
    ran = run(["import", "all", "all.ndjson", "--url", empty.gateway_url], tmp_path, timeout=60)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "The store is in use" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_the_commands_take_one_collection_to_another_store(
    filled: RunningProcess, empty: RunningProcess, tmp_path: Path
) -> None:
    ran = run(["export", "models", "-o", "models.ndjson", "--url", filled.gateway_url], tmp_path, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    arguments = ["import", "models", "models.ndjson", "--url", empty.gateway_url]
    ran = run(arguments, tmp_path, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"models: {MANY:,} created, 0 replaced, 0 skipped, 0 refused in ")
    ran = run([*arguments, "--on-conflict", "skip"], tmp_path, timeout=120)
    assert f"0 created, 0 replaced, {MANY:,} skipped" in ran.stdout


def test_an_export_that_is_cut_leaves_no_file(cut_export: str, tmp_path: Path) -> None:
    for arguments in (["export"], ["export", "models"]):
        ran = run([*arguments, "-o", "out", "--url", cut_export], tmp_path)
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert ran.stderr.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
