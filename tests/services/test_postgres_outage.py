"""crud over a database that goes away: what its callers and its probes are told, and how it comes back."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness.identity import identity_lines
from tests.harness.postgres import PostgresServer, running_postgres
from tests.harness.system import RunningProcess
from tests.services.commands import run

SETTING = b'{"setting_key": "key", "setting_value": 1}'


class Answer(NamedTuple):
    status: int
    headers: Any
    body: dict[str, Any]
    seconds: float


def ask(url: str, data: bytes | None = None) -> Answer:
    began = time.monotonic()
    target = "/" + url.split("/", 3)[3]
    lines = ["Content-Type: application/json"]
    lines += identity_lines("GET" if data is None else "POST", target, lines, data or b"")
    request = urllib.request.Request(url, data, dict(line.split(": ", 1) for line in lines))
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, json.loads(answer.read()), time.monotonic() - began)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, json.loads(error.read()), time.monotonic() - began)


def put(url: str, key: str) -> Answer:
    return ask(f"{url}/settings", json.dumps({"setting_key": key, "setting_value": 1}).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


def started(folder: Path, url: str, probe: str = "/ready", **settings: str) -> RunningProcess:
    crud = RunningProcess(("crud",), folder, settings={"SARVANOM_DATABASE_URL": url, **settings})
    crud.start(f"{crud.crud_url}{probe}")
    return crud


def migrated(server: PostgresServer, folder: Path) -> str:
    url = server.create_database()
    assert run(["migrate"], folder, {"SARVANOM_DATABASE_URL": url}).returncode == 0
    return url


def check_away(crud: RunningProcess, server: PostgresServer) -> None:
    url = crud.crud_url
    with ThreadPoolExecutor(24) as threads:
        asked = [threads.submit(put, url, f"lost/{number}") for number in range(8)]
        asked += [threads.submit(ask, f"{url}/{path}") for path in ("settings/key", "settings", "cache/stats") * 4]
        answers = [one.result() for one in asked]
    for answer in answers:
        assert answer.status == 503, answer
        assert answer.headers["Retry-After"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.seconds < 8
    ready = ask(f"{url}/ready")
    assert ready.status == 503
    check = ready.body["checks"][0]
    assert (check["name"], check["ok"]) == ("database", False)
    assert "database" in check["error"]
    said = json.dumps([answer.body for answer in [*answers, ready]]) + crud.log.read_text()
    assert server.password not in said
    assert "postgresql://" not in said
    assert "SELECT" not in said
    assert ask(f"{url}/health").status == 200


def seconds_until_back(url: str) -> float:
    began = time.monotonic()
    while ask(f"{url}/ready").status != 200 or put(url, f"back/{time.monotonic_ns()}").status != 201:
        assert time.monotonic() - began < 10
        time.sleep(0.02)
    return time.monotonic() - began


def test_crud_outlives_its_database(server: PostgresServer, tmp_path: Path) -> None:
    crud = started(tmp_path, migrated(server, tmp_path))
    try:
        url = crud.crud_url
        assert put(url, "key").status == 201
        server.kill()
        check_away(crud, server)
        server.start()
        assert seconds_until_back(url) < 2
        assert server.process is not None
        pid = server.process.pid
        pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for one in pids:
            os.kill(one, signal.SIGSTOP)
        check_away(crud, server)
        for one in pids:
            os.kill(one, signal.SIGCONT)
        assert seconds_until_back(url) < 2
        assert ask(f"{url}/settings/key").status == 200
    finally:
        crud.stop()


def test_crud_starts_while_its_database_is_away(server: PostgresServer, tmp_path: Path) -> None:
    database = migrated(server, tmp_path)
    server.stop()
    crud = None
    try:
        crud = started(tmp_path, database, "/health")
        check_away(crud, server)
    finally:
        server.start()
        if crud is not None:
            took = seconds_until_back(crud.crud_url)
            crud.stop()
    assert took < 2


def test_all_workers_together_have_no_more_connections_than_were_set(server: PostgresServer, tmp_path: Path) -> None:
    database = migrated(server, tmp_path)
    crud = started(tmp_path, database, SARVANOM_WORKERS="2", SARVANOM_DATABASE_CONNECTIONS="13")
    try:
        name = database.rpartition("/")[2]
        most = 0
        with ThreadPoolExecutor(16) as threads:
            asked = [threads.submit(put, crud.crud_url, f"key/{number}") for number in range(300)]
            asked += [threads.submit(ask, f"{crud.crud_url}/settings?include_total=true") for _ in range(300)]
            while not all(one.done() for one in asked):
                most = max(most, len(server.backends(name)))
            statuses = {one.result().status for one in asked}
        assert statuses == {200, 201}
        assert 2 <= most <= 13
    finally:
        crud.stop()
