"""`sarvanom doctor` against real systems that are well, or have one thing wrong."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from sarvanom.cli.doctor.asking import greet, read_report
from sarvanom.cli.doctor.findings import Outcome
from sarvanom.cli.doctor.services import check_clocks
from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY
from tests.harness.postgres import PostgresDatabases, PostgresServer, running_postgres
from tests.harness.secrets import MASTER_KEY
from tests.harness.system import RunningProcess, free_port, running_crud, running_system
from tests.harness.valkey import running_valkey
from tests.harness.waiting import until
from tests.services.commands import children, run
from tests.services.edge_gateways import running_gateway

LOCAL_CHECKS = [
    "gateway", "crud", "readiness", "report", "versions", "clocks", "workers", "migrations", "connections", "revisions",
    "keys", "disk", "secret files",
]  # fmt: skip
PATIENCE = 60.0


class Line(NamedTuple):
    outcome: str
    found: str
    advice: str


class Said(NamedTuple):
    status: int
    lines: list[tuple[str, Line]]
    last: str

    def of(self, check: str) -> Line:
        [line] = [line for name, line in self.lines if name == check]
        return line

    @property
    def wrong(self) -> list[str]:
        return [name for name, line in self.lines if line.outcome in ("problem", "unknown")]


def examine(folder: Path, settings: Mapping[str, str], *arguments: str) -> Said:
    """Run the command, which is never to hang, and read what it says."""
    ran = run(["doctor", *arguments], folder, {"SARVANOM_DATA_DIR": str(folder), **settings}, timeout=PATIENCE)
    assert ran.stderr == ""
    *rows, last = ran.stdout.splitlines()
    lines: list[tuple[str, Line]] = []
    for row in rows:
        outcome, check, text = row[:9].strip(), row[9:23].strip(), row[23:]
        if outcome:
            lines.append((check, Line(outcome, text, "")))
        else:
            name, line = lines.pop()
            lines.append((name, line._replace(advice=text.removeprefix("-> "))))
    for _, line in lines:
        assert bool(line.advice) == (line.outcome in ("problem", "unknown")), line
    return Said(ran.returncode, lines, last)


def settings_of(system: RunningProcess) -> dict[str, str]:
    ports = {"SARVANOM_GATEWAY_PORT": str(system.gateway_port), "SARVANOM_CRUD_PORT": str(system.crud_port)}
    return {**ports, **system.settings}


def assert_well(said: Said) -> None:
    assert (said.status, said.last, said.wrong) == (0, "All is well.", [])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    with running_system(tmp_path_factory.mktemp("home")) as system:
        yield system


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_system_that_is_well(home: RunningProcess) -> None:
    said = examine(home.data_dir, settings_of(home))
    assert_well(said)
    assert [name for name, _ in said.lines] == LOCAL_CHECKS
    assert said.of("connections").outcome == "skipped"
    assert said.of("revisions").found.startswith("at ")
    assert version("sarvanom") in said.of("versions").found


def test_the_first_key_is_found_in_the_data_folder(tmp_path: Path) -> None:
    none = {"SARVANOM_API_KEY": "", "SARVANOM_ADMIN_KEY": "", "SARVANOM_INTERNAL_SECRET": ""}
    with running_system(tmp_path) as system:
        unknown = examine(tmp_path, settings_of(system) | none)
        assert (unknown.status, unknown.of("report").outcome) == (1, "unknown")
        assert "SARVANOM_API_KEY" in unknown.of("report").advice
        (tmp_path / "admin-key").write_text(ADMIN_KEY)
        (tmp_path / "admin-key").chmod(0o600)
        assert_well(examine(tmp_path, settings_of(system) | none))


def test_services_that_are_not_running(tmp_path: Path) -> None:
    settings = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    said = examine(tmp_path, settings)
    assert said.status == 1
    assert said.wrong == ["gateway", "crud"]
    for service in said.wrong:
        assert "is not running" in said.of(service).found
        assert "sarvanom up" in said.of(service).advice
    assert said.last == "2 problems, 0 checks that could not be made."


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_ports_that_other_programs_have(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger, socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        ports = {"SARVANOM_GATEWAY_PORT": str(stranger.server_port), "SARVANOM_CRUD_PORT": str(silent.getsockname()[1])}
        said = examine(tmp_path, ports)
        stranger.shutdown()
    assert said.status == 1
    assert "something else" in said.of("gateway").found
    assert "hangs" in said.of("crud").found


def test_a_gateway_and_a_crud_that_have_each_others_ports(home: RunningProcess) -> None:
    swapped = {"SARVANOM_GATEWAY_PORT": str(home.crud_port), "SARVANOM_CRUD_PORT": str(home.gateway_port)}
    said = examine(home.data_dir, settings_of(home) | swapped)
    assert "it says that it is crud" in said.of("gateway").found
    assert "it says that it is gateway" in said.of("crud").found


@pytest.mark.parametrize("service", ["gateway", "crud"])
def test_a_service_that_hangs(home: RunningProcess, service: str) -> None:
    [pid] = [pid for pid, name in children(home).items() if name == service]
    with stopped(pid):
        began = time.monotonic()
        said = examine(home.data_dir, settings_of(home))
        assert time.monotonic() - began < PATIENCE / 2
    assert said.status == 1
    assert "hangs" in said.of(service).found
    assert "kill -CONT" in said.of(service).advice
    assert said.of("migrations").outcome == "ok", "looked up in the file itself"
    if service == "crud":
        assert "No answer" in said.of("readiness").found
    until(lambda: httpx2.get(f"{home.gateway_url}/ready").status_code == 200)


def test_a_worker_that_hangs_while_another_serves(tmp_path: Path) -> None:
    with running_system(tmp_path, SARVANOM_WORKERS="2") as system:
        well = examine(tmp_path, settings_of(system))
        assert_well(well)
        assert well.of("workers").found == "2 of gateway, 2 of crud"
        with stopped(next(pid for pid, name in children(system).items() if name == "crud")):
            said = examine(tmp_path, settings_of(system))
        assert "workers" in said.wrong
        assert f"1 of 2 of crud at {system.crud_url} did not answer" in said.of("workers").found


def test_a_dependency_that_is_away(tmp_path: Path) -> None:
    with running_valkey() as valkey, running_system(tmp_path, SARVANOM_VALKEY_URL=valkey.url) as system:
        until(lambda: all(one["ok"] for one in httpx2.get(f"{system.gateway_url}/ready").json()["checks"]))
        assert_well(examine(tmp_path, settings_of(system)))
        with valkey.held():
            said = examine(tmp_path, settings_of(system))
        assert said.wrong == ["readiness"]
        assert "is ready, but valkey: " in said.of("readiness").found


def test_a_crud_of_another_version(tmp_path: Path) -> None:
    """The version is that of the package's metadata, of which the first on the path counts."""
    metadata = tmp_path / "older" / "sarvanom-0.0.9.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sarvanom\nVersion: 0.0.9\n")
    with (
        running_crud(tmp_path, PYTHONPATH=str(metadata.parent)) as crud,
        running_gateway(tmp_path, crud.crud_port) as gateway,
    ):
        until(lambda: httpx2.get(f"{gateway.gateway_url}/ready").status_code == 200)
        said = examine(tmp_path, settings_of(gateway))
    assert said.wrong == ["versions"]
    assert f"crud at {crud.crud_url} is 0.0.9" in said.of("versions").found
    assert "gateway at" not in said.of("versions").found


@pytest.mark.parametrize(("ahead", "outcome"), [(0, Outcome.OK), (30, Outcome.PROBLEM), (-30, Outcome.PROBLEM)])
def test_a_clock_that_is_wrong(home: RunningProcess, ahead: float, outcome: Outcome) -> None:
    """It is this machine's that is moved: against it all others are wrong the other way."""

    async def look() -> tuple[Outcome, str]:
        transport = HTTPXTransport(home.gateway_url)
        try:
            greeting = await greet(transport, "gateway", home.gateway_url, lambda: time.time() + ahead)
            reported = await read_report(transport, ADMIN_KEY, lambda: time.time() + ahead)
        finally:
            await transport.aclose()
        by_date = check_clocks([greeting], reported._replace(report=None))
        both = check_clocks([greeting], reported)
        assert by_date.outcome is both.outcome
        return both.outcome, both.found

    found, said = asyncio.run(look())
    assert found is outcome
    assert said.count("behind" if ahead > 0 else "ahead") == (0 if ahead == 0 else 2), "the gateway's, and crud's"


def test_a_key_that_ends_soon(tmp_path: Path) -> None:
    with running_system(tmp_path) as system:
        for days, name in ((3, "soon"), (30, "later")):
            ends = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            made = httpx2.post(
                f"{system.gateway_url}/keys", headers=ADMIN_HEADERS, json={"name": name, "expires_at": ends}
            )
            assert made.status_code == 201
        said = examine(tmp_path, settings_of(system))
        assert said.wrong == ["keys"]
        assert "(soon)" in said.of("keys").found
        assert "(later)" not in said.of("keys").found
        command = said.of("keys").advice.split("`")[1].split()
        changed = run(command[1:], tmp_path, {"SARVANOM_URL": system.gateway_url})
        assert changed.returncode == 0, "the advice can be followed as it stands"
        assert_well(examine(tmp_path, settings_of(system)))


def test_secrets_that_others_may_read(tmp_path: Path) -> None:
    with running_system(tmp_path) as system:
        assert_well(examine(tmp_path, settings_of(system)))
        (tmp_path / "metrics-token").chmod(0o644)
        said = examine(tmp_path, settings_of(system))
        assert said.wrong == ["secret files"]
        assert "chmod 600" in said.of("secret files").advice


def test_two_cruds_that_keep_their_data_in_different_places(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with running_crud(tmp_path) as first, running_crud(tmp_path / "other") as second:
        settings = {"SARVANOM_CRUD_URLS": f"{first.crud_url},{second.crud_url}"}
        with running_gateway(tmp_path, first.crud_port, **settings) as gateway:
            until(lambda: httpx2.get(f"{gateway.gateway_url}/ready").status_code == 200)
            for number in range(3):
                httpx2.put(
                    f"{gateway.gateway_url}/settings/s{number}",
                    headers={**ADMIN_HEADERS, "If-None-Match": "*"},
                    json={"setting_value": number},
                )
            said = examine(tmp_path, settings_of(gateway))
    assert said.wrong == ["revisions"]
    assert "behind" in said.of("revisions").found
    assert "SARVANOM_DATABASE_URL" in said.of("revisions").advice
    assert [name for name, _ in said.lines].count("crud") == 2


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres(max_connections="25", superuser_reserved_connections="3") as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[dict[str, str]]:
    url = server.create_database()
    yield {"SARVANOM_DATABASE_URL": url, "SARVANOM_MASTER_KEYS": MASTER_KEY}
    server.drop_database(url)


def test_a_schema_that_is_not_the_newest(server: PostgresServer, database: dict[str, str], tmp_path: Path) -> None:
    nowhere = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    empty = examine(tmp_path, database | nowhere)
    assert (empty.of("migrations").outcome, empty.of("migrations").found) == ("problem", "the database is empty")
    assert "sarvanom migrate" in empty.of("migrations").advice
    assert run(["migrate"], tmp_path, database).returncode == 0
    assert examine(tmp_path, database | nowhere).of("migrations").outcome == "ok"
    with running_system(tmp_path, **database) as system:
        assert_well(examine(tmp_path, settings_of(system)))
        change(database, "UPDATE alembic_version SET version_num = '0003'")
        said = examine(tmp_path, settings_of(system))
        assert "migrations" in said.wrong
        assert "schema 0003, and crud needs 0004" in said.of("migrations").found
        change(database, "UPDATE alembic_version SET version_num = '0004'")
        assert_well(examine(tmp_path, settings_of(system)))


def change(database: Mapping[str, str], statement: str) -> None:
    PostgresDatabases(database["SARVANOM_DATABASE_URL"]).ask(statement)


def test_more_connections_than_the_server_gives(database: dict[str, str], tmp_path: Path) -> None:
    assert run(["migrate"], tmp_path, database).returncode == 0
    with running_system(tmp_path, **database, SARVANOM_DATABASE_CONNECTIONS="22") as system:
        well = examine(tmp_path, settings_of(system))
        assert_well(well)
        assert well.of("connections").found.startswith("all cruds may open 22, PostgreSQL gives 22 in all, and ")
    with running_system(tmp_path, **database, SARVANOM_DATABASE_CONNECTIONS="24", SARVANOM_WORKERS="2") as system:
        said = examine(tmp_path, settings_of(system))
        assert said.wrong == ["connections"]
        assert "max_connections" in said.of("connections").advice
    nowhere = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    down = examine(tmp_path, database | nowhere | {"SARVANOM_DATABASE_CONNECTIONS": "24"})
    assert down.of("connections").outcome == "problem"


def test_a_database_that_is_away(tmp_path: Path) -> None:
    settings = {
        "SARVANOM_DATABASE_URL": f"postgresql://doctor:hunter2-of-the-test@127.0.0.1:{free_port()}/sarvanom",
        "SARVANOM_GATEWAY_PORT": str(free_port()),
        "SARVANOM_CRUD_PORT": str(free_port()),
    }
    said = examine(tmp_path, settings)
    assert "cannot be reached" in said.of("migrations").found
    assert "hunter2" not in str(said)


def test_a_gateway_on_another_machine(tmp_path: Path) -> None:
    """By an address that is not the loopback's, though it leads there."""
    with running_system(tmp_path, SARVANOM_TRUSTED_HOSTS="*") as system:
        said = examine(tmp_path / "..", {}, "--url", f"http://0.0.0.0:{system.gateway_port}")
        assert_well(said)
        assert [name for name, line in said.lines if line.outcome == "skipped"] == [
            "crud", "connections", "disk", "secret files",
        ]  # fmt: skip


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    ran = run(["doctor"], tmp_path, {"SARVANOM_WORKERS": "many"})
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "SARVANOM_WORKERS=many" in ran.stderr


def test_crud_urls_that_lead_nowhere(home: RunningProcess) -> None:
    said = examine(home.data_dir, settings_of(home) | {"SARVANOM_CRUD_URLS": "crud:8001"})
    assert (said.of("crud").outcome, said.wrong) == ("unknown", ["crud"])
    assert "SARVANOM_CRUD_URLS" in said.of("crud").advice
