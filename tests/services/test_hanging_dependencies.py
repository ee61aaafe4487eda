"""What hangs keeps no probe waiting: real dependencies that stand still, and many who ask at once."""

import asyncio
import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, SignedRequests
from tests.harness.postgres import PostgresServer, running_postgres
from tests.harness.system import RunningProcess, running_crud
from tests.harness.valkey import running_valkey
from tests.harness.waiting import until
from tests.services.commands import run
from tests.services.edge_gateways import running_gateway

PROBES = 200
LOOK_SECONDS = 2.0
SLACK_SECONDS = 4.0
"""For a machine that others use too."""
_FIRST_LOCK, _LOCKS = 120, 8
"""Where in the shared memory of a write-ahead log its locks are (sqlite.org/walformat.html, section 2.1)."""


class Used(NamedTuple):
    """What a process holds."""

    threads: int
    files: int

    @classmethod
    def by(cls, process: RunningProcess) -> "Used":
        """Count when what probes have left behind is gone: connections that their callers have just closed."""
        before, now = None, cls._now(process)
        deadline = time.monotonic() + 10
        while now != before and time.monotonic() < deadline:
            time.sleep(0.3)
            before, now = now, cls._now(process)
        return now

    @classmethod
    def _now(cls, process: RunningProcess) -> "Used":
        assert process.process is not None
        home = Path(f"/proc/{process.process.pid}")
        return cls(len(list((home / "task").iterdir())), len(list((home / "fd").iterdir())))


class Peak:
    """The most connections there were at once to a port of this machine, while the block ran."""

    def __init__(self, port: int) -> None:
        self._end = f":{port:04X}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.most = max(self.most, self._count())

    def _count(self) -> int:
        """Count those that are open, or being opened; from the second column on there are both ends and the state.

        The kernel shows the table part by part: what changes meanwhile has it show some connections several times.
        """
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return len({row[1] for row in rows if row[2].endswith(self._end) and row[3] in ("01", "02")})


class Probed(NamedTuple):
    status: int
    body: Any
    seconds: float


def probe(url: str, path: str = "/ready", times: int = 1) -> list[Probed]:
    """Ask so many times at once."""

    async def ask(client: httpx2.AsyncClient) -> Probed:
        began = time.monotonic()
        answer = await client.get(path)
        return Probed(answer.status_code, answer.json(), time.monotonic() - began)

    async def ask_all() -> list[Probed]:
        limits = httpx2.Limits(max_connections=times)
        async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(ask(client) for _ in range(times)))

    return asyncio.run(ask_all())


def detailed(gateway: RunningProcess) -> Probed:
    began = time.monotonic()
    answer = httpx2.get(f"{gateway.gateway_url}/health/detailed", headers=ADMIN_HEADERS, timeout=60)
    return Probed(answer.status_code, answer.json(), time.monotonic() - began)


def check_of(probed: Probed, name: str) -> dict[str, Any]:
    [found] = [check for check in probed.body["checks"] if check["name"] == name]
    return dict(found)


@contextmanager
def stopped(*processes: int) -> Iterator[None]:
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def pid_of(process: RunningProcess) -> int:
    assert process.process is not None
    return process.process.pid


def family_of(server: PostgresServer) -> list[int]:
    assert server.process is not None
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def assert_answered_in_time(probed: list[Probed], status: int, seconds: float = LOOK_SECONDS) -> None:
    assert {one.status for one in probed} == {status}
    assert max(one.seconds for one in probed) < seconds + SLACK_SECONDS


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres(max_connections="40") as server:
        yield server


def migrated(server: PostgresServer, folder: Path) -> str:
    url = server.create_database()
    assert run(["migrate"], folder, {"SARVANOM_DATABASE_URL": url}).returncode == 0
    return url


def test_a_postgresql_that_hangs(server: PostgresServer, tmp_path: Path) -> None:
    with running_crud(tmp_path, SARVANOM_DATABASE_URL=migrated(server, tmp_path)) as crud:
        with Peak(server.port) as well:
            probe(crud.crud_url, times=PROBES)
        before = Used.by(crud)
        with stopped(*family_of(server)), Peak(server.port) as hung:
            for _ in range(3):
                probed = probe(crud.crud_url, times=PROBES)
                assert_answered_in_time(probed, 503)
                check = check_of(probed[0], "database")
                assert not check["ok"]
                assert check["error"]
                assert probe(crud.crud_url, "/health")[0].seconds < SLACK_SECONDS
            during = Used.by(crud)
        # Of the 16 that crud may open: three that write, a few for what it does by itself, one that looks, and some
        # that are being let go of. Were each probe to look for itself, all 12 that read would be taken.
        assert 1 <= well.most <= 10
        assert hung.most <= 10
        assert during.threads <= before.threads + 2
        assert during.files <= before.files + 6
        until(lambda: probe(crud.crud_url)[0].status == 200)
        check = check_of(probe(crud.crud_url)[0], "database")
        assert (check["ok"], check["error"]) == (True, None)
        assert check["last_error"]
        assert check["last_error_at"]
        assert server.password not in str(probed)
        assert str(server.port) not in str([one.body for one in probed])
        until(lambda: Used.by(crud).files <= before.files + 2)


def test_a_backend_that_hangs_while_its_server_goes_on(server: PostgresServer, tmp_path: Path) -> None:
    url = migrated(server, tmp_path)
    with running_crud(tmp_path, SARVANOM_DATABASE_URL=url) as crud:
        with stopped(*server.backends(url.rpartition("/")[2])):
            assert max(one.seconds for one in probe(crud.crud_url, times=PROBES)) < LOOK_SECONDS + SLACK_SECONDS
            until(lambda: probe(crud.crud_url)[0].status == 200)  # over a new connection
        assert check_of(probe(crud.crud_url)[0], "database")["last_error"]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Let everybody wait who wants to read an SQLite file, as long as SQLite waits: ten seconds, in its own thread."""
    with database.with_name(f"{database.name}-shm").open("r+b") as memory:
        fcntl.lockf(memory, fcntl.LOCK_EX, _LOCKS, _FIRST_LOCK)
        yield


def test_an_sqlite_file_that_hangs(tmp_path: Path) -> None:
    with running_crud(tmp_path) as crud:
        probe(crud.crud_url, times=PROBES)
        before = Used.by(crud)
        with locked(tmp_path / "sarvanom.db"):
            for _ in range(2):
                probed = probe(crud.crud_url, times=PROBES)
                assert_answered_in_time(probed, 503)
                assert check_of(probed[0], "database")["error"].startswith("No answer")
                assert_answered_in_time(probe(crud.crud_url, "/health"), 200, 0)
            during = Used.by(crud)
            asked = httpx2.get(f"{crud.crud_url}/health/detailed", auth=SignedRequests(), timeout=20)
            assert (asked.status_code, asked.json()["status"], asked.json()["database"]) == (200, "degraded", None)
        assert during.threads <= before.threads + 2, "one that looks, and one that keeps house"
        assert during.files <= before.files + 6
        until(lambda: probe(crud.crud_url)[0].status == 200)
        assert check_of(probe(crud.crud_url)[0], "database")["last_error"].startswith("No answer")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningProcess, RunningProcess, RunningProcess]]:
    """Two cruds over one file, and a gateway in front of both."""
    with running_crud(tmp_path) as first, running_crud(tmp_path) as second:
        urls = f"{first.crud_url},{second.crud_url}"
        settings = {"SARVANOM_CRUD_URLS": urls, "SARVANOM_UPSTREAM_TIMEOUT": "4"}
        with running_gateway(tmp_path, first.crud_port, **settings) as gateway:
            until(lambda: probe(gateway.gateway_url)[0].status == 200)
            yield first, second, gateway


def test_one_crud_of_two_that_hangs(pair: tuple[RunningProcess, RunningProcess, RunningProcess]) -> None:
    first, _, gateway = pair
    number = "crud 1" if first.crud_url == min(one.crud_url for one in pair[:2]) else "crud 2"
    well = probe(gateway.gateway_url)[0]
    assert [(check["name"], check["ok"]) for check in well.body["checks"]] == [
        ("crud", True), ("crud 1", True), ("crud 2", True),
    ]  # fmt: skip
    with stopped(pid_of(first)):
        probed = probe(gateway.gateway_url, times=PROBES)
        assert_answered_in_time(probed, 200, 0.5)
        check = check_of(probed[0], number)
        assert (check["ok"], check["required"]) == (False, False)
        # Whose key it is may have been asked of the one that hangs; then it is 503 until the gateway gives that up.
        until(lambda: detailed(gateway).status == 200)
        report = detailed(gateway).body
        assert report["status"] == "degraded"
        told = {one["url"]: one for one in report["instances"]}
        assert (told[first.crud_url]["ok"], told[first.crud_url]["report"]) == (False, None)
        assert told[pair[1].crud_url]["report"]["database"]["revision"] >= 1
    until(lambda: check_of(probe(gateway.gateway_url)[0], number)["ok"])
    assert check_of(probe(gateway.gateway_url)[0], number)["last_error"]
    said = str(probe(gateway.gateway_url)[0].body)
    assert str(first.crud_port) not in said, "where crud is, is not for strangers"


def test_all_cruds_that_hang(pair: tuple[RunningProcess, RunningProcess, RunningProcess]) -> None:
    first, second, gateway = pair
    probe(gateway.gateway_url, times=PROBES)
    before = Used.by(gateway)
    with stopped(pid_of(first), pid_of(second)):
        for _ in range(2):
            probed = probe(gateway.gateway_url, times=PROBES)
            assert_answered_in_time(probed, 503, LOOK_SECONDS + 1)
            assert "No answer" in check_of(probed[0], "crud")["error"]
            assert_answered_in_time(probe(gateway.gateway_url, "/health"), 200, 0)
        asked = detailed(gateway)
        assert asked.status == 503, "nobody can say who asks"
        assert "in time" in asked.body["detail"]
        assert asked.seconds < LOOK_SECONDS + SLACK_SECONDS
        during = Used.by(gateway)
    assert during.threads <= before.threads + 2
    assert during.files <= before.files + 6
    until(lambda: probe(gateway.gateway_url)[0].status == 200)


def test_a_valkey_that_hangs_keeps_no_gateway_from_being_ready(tmp_path: Path) -> None:
    with (
        running_valkey() as valkey,
        running_crud(tmp_path) as crud,
        running_gateway(tmp_path, crud.crud_port, SARVANOM_VALKEY_URL=valkey.url) as gateway,
    ):
        until(lambda: check_of(probe(gateway.gateway_url)[0], "valkey")["ok"])
        before = Used.by(gateway)
        with valkey.held():
            for _ in range(2):
                probed = probe(gateway.gateway_url, times=PROBES)
                assert_answered_in_time(probed, 200, 1)
            check = check_of(probed[0], "valkey")
            assert (check["ok"], check["required"]) == (False, False)
            during = Used.by(gateway)
        assert during.threads <= before.threads + 2
        assert during.files <= before.files + 6
        until(lambda: check_of(probe(gateway.gateway_url)[0], "valkey")["ok"])
        last = probe(gateway.gateway_url)[0]
        assert check_of(last, "valkey")["last_error"]
        assert valkey.password not in str(last.body)
