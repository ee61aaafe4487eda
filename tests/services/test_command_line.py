"""`sarvanom` as a person and a process supervisor meet it."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY
from tests.harness.system import RunningProcess, free_port
from tests.services.commands import (
    SARVANOM,
    children,
    environment,
    is_alive,
    refusal,
    run,
    running,
    wait_until,
    wait_until_ready,
)

USER = {"user_id": "grace", "username": "grace", "email": "grace@example.org"}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        yield port


def up(folder: Path, **settings: str) -> RunningProcess:
    return RunningProcess(("up",), folder, settings=settings)


def create(system: RunningProcess, **fields: str) -> None:
    answer = httpx2.post(f"{system.gateway_url}/users", json={**USER, **fields}, headers=ADMIN_HEADERS)
    assert answer.status_code == 201


def read(system: RunningProcess, id: str = "grace") -> int:
    return httpx2.get(f"{system.gateway_url}/users/{id}", timeout=30, headers=ADMIN_HEADERS).status_code


def test_up_says_where_it_listens_and_gives_a_command_that_works(tmp_path: Path) -> None:
    with running(up(tmp_path)) as system:
        wait_until(lambda: "Ctrl-C" in system.log.read_text(), "the announcement")
        said = "\n".join(line for line in system.log.read_text().splitlines() if not line.startswith("{"))
        for text in (system.gateway_url, system.crud_url, f"{system.gateway_url}/docs", str(tmp_path)):
            assert text in said
        (command,) = re.findall(r"^ *(curl (?:.*\\\n)*.*)$", said, re.MULTILINE)
        shell = {**os.environ, "SARVANOM_ADMIN_KEY": ADMIN_KEY}
        ran = subprocess.run(["/bin/sh", "-c", command], env=shell, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("HTTP/1.1 201 ")
        location = re.search(r"(?i)^location: (\S+)", ran.stdout, re.MULTILINE)
        assert location is not None
        assert httpx2.get(system.gateway_url + location[1], headers=ADMIN_HEADERS).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["up", "gateway", "crud"])
def test_a_signal_stops_everything_quickly_and_cleanly(tmp_path: Path, command: str, number: int) -> None:
    system = RunningProcess((command,), tmp_path)
    url = system.crud_url if command == "crud" else system.gateway_url
    system.start(f"{url}/health")
    try:
        began = children(system)
        assert sorted(began.values()) == (["crud", "gateway"] if command == "up" else [])
        with httpx2.Client(base_url=url, headers=ADMIN_HEADERS) as idle:
            assert idle.get("/health").status_code == 200
            started = time.monotonic()
            assert system.stop(number) == 0
        assert time.monotonic() - started < 5
        assert not [pid for pid in began if is_alive(pid)]
        assert "Traceback" not in system.log.read_text()
        for port in (system.gateway_port, system.crud_port):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0
    finally:
        system.stop(signal.SIGKILL)


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    with running(up(tmp_path)) as system:
        create(system)
    with running(up(tmp_path)) as system:
        assert read(system) == 200


@pytest.mark.parametrize("taken", ["GATEWAY", "CRUD"])
@pytest.mark.parametrize("command", ["up", "alone"])
def test_a_taken_port_is_named(tmp_path: Path, taken_port: int, taken: str, command: str) -> None:
    settings = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    settings |= {f"SARVANOM_{taken}_PORT": str(taken_port), "SARVANOM_DATA_DIR": str(tmp_path / "data")}
    said = refusal(["up" if command == "up" else taken.lower()], tmp_path, settings)
    assert f"127.0.0.1:{taken_port}" in said
    assert "in use" in said


@pytest.mark.parametrize(
    ("command", "folder"), [("up", "file"), ("up", "file/below"), ("up", "/proc/nothing"), ("crud", "file")]
)
def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path, command: str, folder: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    ports = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    said = refusal([command], tmp_path, {"SARVANOM_DATA_DIR": folder, **ports})
    assert folder in said
    assert (tmp_path / "file").read_text() == "not a folder"


BAD_SETTINGS = [
    ("GATEWAY_PORT", "abc"),
    ("GATEWAY_PORT", "65536"),
    ("CRUD_PORT", "-1"),
    ("CRUD_PORT", ""),
    ("WORKERS", "0"),
    ("WORKERS", "many"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("STOP_SECONDS", "0"),
    ("STOP_SECONDS", "nan"),
    ("UPSTREAM_TIMEOUT", "-1"),
    ("UPSTREAM_TIMEOUT", "inf"),
    ("MAX_BODY_BYTES", "1"),
    ("MAX_BODY_BYTES", "10MB"),
    ("DATABASE_URL", "mysql://localhost/x"),
    ("DATABASE_URL", "sqlite:///"),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_a_bad_setting_is_named_and_explained(tmp_path: Path, name: str, value: str) -> None:
    said = refusal(["up"], tmp_path, {f"SARVANOM_{name}": value})
    assert f"SARVANOM_{name}" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_HOSTS", "a b"),
        ("TRUSTED_HOSTS", "https://example.org"),
        ("TRUSTED_PROXIES", "not an address"),
        ("CORS_ORIGINS", "app.example"),
        ("CRUD_URLS", "ftp://127.0.0.1"),
        ("CRUD_URLS", ""),
        ("GATEWAY_HOST", "no such host"),
        ("GATEWAY_HOST", "192.0.2.1"),
    ],
)
def test_a_setting_that_makes_no_sense_to_the_gateway_is_refused(tmp_path: Path, name: str, value: str) -> None:
    settings = {f"SARVANOM_{name}": value, "SARVANOM_GATEWAY_PORT": str(free_port())}
    try:
        said = refusal(["gateway"], tmp_path, settings, 8)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the gateway started with SARVANOM_{name}={value}")
    assert value in said or name in said


def test_a_bad_setting_does_not_tell_a_password(tmp_path: Path) -> None:
    """Invariant 6: a secret that stands in a URL is in no output."""
    said = refusal(["up"], tmp_path, {"SARVANOM_DATABASE_URL": "mysql://app:hunter2@db.example/sarvanom"})
    assert "SARVANOM_DATABASE_URL" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("file", "text"),
    [("sarvanom.toml", "gateway_port = "), ("sarvanom.toml", "workers = 'many'"), ("sarvanom.toml", b"\xff")],
)
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, text: str | bytes) -> None:
    (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    said = refusal(["up"], tmp_path, {})
    assert file in said or "SARVANOM_WORKERS" in said


def foreign_database(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES ('mine')")
    connection.close()


def newer_database(file: Path) -> None:
    foreign_database(file)
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA application_id = {0x53415256}")
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def no_database(file: Path) -> None:
    file.write_bytes(b"These are my notes, and no database at all.\n" * 100)


@pytest.mark.parametrize(
    ("command", "make"),
    [("up", foreign_database), ("crud", foreign_database), ("crud", newer_database), ("crud", no_database)],
)
def test_a_database_of_another_program_is_refused_by_name(
    tmp_path: Path, command: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "sarvanom.db")
    ports = {"SARVANOM_GATEWAY_PORT": str(free_port()), "SARVANOM_CRUD_PORT": str(free_port())}
    said = refusal([command], tmp_path, {"SARVANOM_DATA_DIR": str(tmp_path), **ports})
    assert "crud cannot start" in said
    assert str(tmp_path / "sarvanom.db") in said, "the message must say which file"


@pytest.mark.parametrize("make", [foreign_database, newer_database, no_database])
def test_a_file_of_another_program_is_left_as_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    file = tmp_path / "sarvanom.db"
    make(file)
    before = file.read_bytes()
    run(["crud"], tmp_path, {"SARVANOM_DATA_DIR": str(tmp_path), "SARVANOM_CRUD_PORT": str(free_port())})
    assert file.read_bytes() == before, "the file was changed"
    assert [found.name for found in tmp_path.iterdir()] == ["sarvanom.db"]


@pytest.mark.parametrize("service", ["crud", "gateway"])
def test_a_child_that_is_killed_is_started_again_with_its_data(tmp_path: Path, service: str) -> None:
    with running(up(tmp_path)) as system:
        create(system)
        (victim,) = (pid for pid, name in children(system).items() if name == service)
        os.kill(victim, signal.SIGKILL)
        assert read(system) == 200
        assert victim not in children(system)
        assert sorted(children(system).values()) == ["crud", "gateway"]
        create(system, user_id="hedy", username="hedy", email="hedy@example.org")
        assert f"{service} ended with status -9; starting it again" in system.log.read_text()


def test_when_the_parent_is_killed_the_children_end_by_themselves(tmp_path: Path) -> None:
    with running(up(tmp_path)) as system:
        create(system)
        orphans = children(system)
        assert len(orphans) == 2
        system.kill()
        wait_until(lambda: not any(map(is_alive, orphans)), "the end of the children")
    with running(up(tmp_path)) as system:
        assert read(system) == 200


def test_two_workers_of_each_share_the_work_and_the_data(tmp_path: Path) -> None:
    with running(up(tmp_path, SARVANOM_WORKERS="2")) as system:
        wait_until(lambda: sorted(children(system).values()) == ["crud", "crud", "gateway", "gateway"], "four children")
        create(system)
        for _ in range(20):
            assert read(system) == 200
        victim = next(iter(children(system)))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(children(system)) == 4 and victim not in children(system), "a fourth child")
        wait_until_ready(system)
        assert read(system) == 200
        started = children(system)
        assert system.stop() == 0
        assert not [pid for pid in started if is_alive(pid)]


def test_port_zero_takes_a_free_port_and_says_which(tmp_path: Path) -> None:
    settings = {"SARVANOM_GATEWAY_PORT": "0", "SARVANOM_CRUD_PORT": "0", "SARVANOM_DATA_DIR": str(tmp_path)}
    log = tmp_path / "out.log"
    with log.open("wb") as out:
        process = subprocess.Popen([SARVANOM, "up"], env=environment(settings), cwd=tmp_path, stdout=out, stderr=out)
    try:
        wait_until(lambda: "Ctrl-C" in log.read_text(), "the announcement")
        found = re.search(r"gateway +(http://127\.0\.0\.1:[1-9]\d*) ", log.read_text())
        assert found is not None
        assert httpx2.get(f"{found[1]}/ready").status_code == 200
    finally:
        process.terminate()
        assert process.wait(15) == 0


def service_port(folder: Path, arguments: list[str], settings: Mapping[str, str]) -> int:
    """Return the port that crud tries to listen on: it is always taken, so nothing starts."""
    said = refusal(["crud", *arguments], folder, settings)
    found = re.search(r"127\.0\.0\.1:(\d+)", said)
    assert found is not None, said
    return int(found[1])


def test_flags_beat_the_environment_which_beats_dotenv_which_beats_toml(tmp_path: Path) -> None:
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d:
        ports = []
        for listener in (a, b, c, d):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            ports.append(listener.getsockname()[1])
        toml, dotenv, environ, flag = ports
        (tmp_path / "sarvanom.toml").write_text(f"crud_port = {toml}\nunknown = 1\n")
        assert service_port(tmp_path, [], {}) == toml
        (tmp_path / ".env").write_text(f"SARVANOM_CRUD_PORT={dotenv}\nOTHER=1\n")
        assert service_port(tmp_path, [], {}) == dotenv
        assert service_port(tmp_path, [], {"SARVANOM_CRUD_PORT": str(environ)}) == environ
        assert service_port(tmp_path, ["--crud-port", str(flag)], {"SARVANOM_CRUD_PORT": str(environ)}) == flag


def test_the_services_of_up_get_what_up_was_told(tmp_path: Path) -> None:
    """A flag of the parent and a file in its folder reach the children."""
    system = RunningProcess(("up", "--max-body-bytes", "2048"), tmp_path)
    (tmp_path / "sarvanom.toml").write_text('trusted_hosts = "127.0.0.1,only.example"\n')
    with running(system):
        answer = httpx2.post(
            f"{system.gateway_url}/users", json={**USER, "settings": {"x": "x" * 4096}}, headers=ADMIN_HEADERS
        )
        assert answer.status_code == 413
        answer = httpx2.get(f"{system.gateway_url}/health", headers={"host": "localhost"})
        assert answer.status_code == 400


def test_every_command_has_help(tmp_path: Path) -> None:
    commands = [[], ["up"], ["gateway"], ["crud"], ["import"]]
    commands += [["import", name] for name in ("litellm", "datapackage", "postgres-settings")]
    for command in commands:
        for flag in ("--help", "-h") if not command else ("--help",):
            ran = run([*command, flag], tmp_path)
            assert (ran.returncode, ran.stderr) == (0, "")
            assert ran.stdout.startswith("Usage: sarvanom")
            assert "Traceback" not in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_command_is_told_how_to_get_help(tmp_path: Path) -> None:
    for arguments in (["nothing"], ["up", "--nothing"], ["import", "nothing"], ["import", "litellm"]):
        ran = run(arguments, tmp_path)
        assert ran.returncode == 2
        assert "Try 'sarvanom" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_the_version_is_told(tmp_path: Path) -> None:
    assert re.fullmatch(r"sarvanom, version \d+\.\d+\.\d+\S*\n", run(["--version"], tmp_path).stdout)


def test_an_older_python_is_told_so(tmp_path: Path) -> None:
    script = "import sys\nfrom sarvanom.cli import main\nsys.version_info = (3, 12, 9, 'final', 0)\nmain.main()\n"
    ran = subprocess.run(
        [SARVANOM.with_name("python"), "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "sarvanom needs Python 3.13 or newer\n"


def test_the_log_of_a_file_is_json_and_that_of_choice_is_what_was_chosen(tmp_path: Path) -> None:
    gateway = RunningProcess(("gateway",), tmp_path, settings={"SARVANOM_LOG_FORMAT": "console"})
    gateway.start(f"{gateway.gateway_url}/health")
    assert gateway.stop(signal.SIGINT) == 0
    lines = gateway.log.read_text().splitlines()
    assert lines
    assert not any(line.startswith("{") for line in lines)
    gateway = RunningProcess(("gateway",), tmp_path, settings={"SARVANOM_LOG_LEVEL": "warning"})
    gateway.log.unlink()
    gateway.start(f"{gateway.gateway_url}/health")
    assert gateway.stop(signal.SIGINT) == 0
    assert [json.loads(line) for line in gateway.log.read_text().splitlines()] == []
