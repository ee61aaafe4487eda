"""The PostgreSQL of the tests does what they rely on: it survives crashes with its data and leaves nothing behind."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from tests.harness.postgres import PostgresDatabases, PostgresServer, running_postgres
from tests.harness.postgres_programs import copied_programs, runnable_programs, temporary_folder
from tests.harness.postgres_shared import shared_postgres

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with running_postgres(max_connections="20") as server:
        yield server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's."""
    folder = temporary_folder()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def scalar(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def connections_die(*connections: asyncpg.Connection) -> None:
    for connection in connections:
        with pytest.raises((asyncpg.PostgresError, ConnectionError, asyncpg.InterfaceError)):
            await connection.execute("SELECT 1")
        connection.terminate()


def eventually(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def shared_memory() -> set[str]:
    """Return the ids of all segments."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()}


def is_running(pid: int) -> bool:
    """Tell whether the process still works; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_databases_are_empty_and_apart(postgres: PostgresDatabases, postgres_database: str) -> None:
    other = postgres.create_database()
    await scalar(postgres_database, "CREATE TABLE only_here (id int)")
    assert await scalar(other, "SELECT to_regclass('only_here')") is None
    postgres.drop_database(other)
    postgres.drop_database(other)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(other)


async def test_what_is_committed_is_synced(own_server: PostgresServer) -> None:
    assert await scalar(own_server.url, "SHOW fsync") == "on"
    assert await scalar(own_server.url, "SHOW synchronous_commit") == "on"


async def test_connections_are_listed_and_terminated(postgres: PostgresDatabases, postgres_database: str) -> None:
    connection = await asyncpg.connect(postgres_database)
    name = postgres_database.rpartition("/")[2]
    assert postgres.backends(name) == [connection.get_server_pid()]
    assert connection.get_server_pid() in postgres.backends()
    postgres.terminate_backends(name)
    assert postgres.backends(name) == []
    await connections_die(connection)


async def test_a_password_is_needed(own_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(own_server.url, password="another")


async def test_a_killed_server_keeps_what_was_committed_and_no_more(own_server: PostgresServer) -> None:
    database, port = own_server.create_database(), own_server.port
    await scalar(database, "CREATE TABLE kept (round int)")
    for round_ in range(3):
        connection = await asyncpg.connect(database)
        await connection.execute(f"INSERT INTO kept VALUES ({round_})")
        await connection.execute("BEGIN; INSERT INTO kept VALUES (-1)")
        own_server.kill()
        own_server.start()
        await connections_die(connection)
        assert await scalar(database, "SELECT array_agg(round ORDER BY round) FROM kept") == list(range(round_ + 1))
    assert own_server.port == port


async def test_a_stopped_server_comes_back_on_its_port(own_server: PostgresServer) -> None:
    database = own_server.create_database()
    await scalar(database, "CREATE TABLE kept AS SELECT 7 AS seven")
    own_server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(database)
    with pytest.raises(ConnectionRefusedError):
        own_server.backends()
    own_server.start()
    assert await scalar(database, "SELECT seven FROM kept") == 7


async def test_losing_one_backend_ends_all_and_the_server_recovers(own_server: PostgresServer) -> None:
    database = own_server.create_database()
    victim, bystander = await asyncpg.connect(database), await asyncpg.connect(database)
    own_server.kill_backend(victim.get_server_pid())
    assert own_server.backends() == []
    await connections_die(victim, bystander)
    assert await scalar(database, "SELECT 1") == 1


async def test_settings_are_the_callers(own_server: PostgresServer) -> None:
    assert await scalar(own_server.url, "SHOW max_connections") == "20"


def test_nothing_stays_of_a_server_that_was_killed() -> None:
    with running_postgres() as server:
        memory = (server.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        assert memory in shared_memory()
        server.kill()
    assert not server.data.parent.exists()
    # It goes with the last of the killed server's children, which end by themselves.
    eventually("the memory stayed", lambda: memory not in shared_memory())


def test_a_named_folder_keeps_its_data(open_folder: Path) -> None:
    with running_postgres(open_folder) as server:
        assert server.data.is_relative_to(open_folder)
    assert (server.data / "PG_VERSION").exists()
    assert "database system is shut down" in server.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give the data to another user")
def test_a_folder_that_the_user_cannot_enter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="may not enter"), running_postgres(tmp_path):
        pass


def test_copied_programs_run_for_everyone(open_folder: Path) -> None:
    programs = replace(runnable_programs(open_folder / "first"), bin=copied_programs(open_folder / "second"))
    for name in ("postgres", "initdb", "pg_ctl", "psql", "pgbench"):
        programs.run(name, "--version", cwd=open_folder)


def test_a_test_run_that_is_killed_takes_its_server_along() -> None:
    program = """
import time
from tests.harness.postgres import running_postgres
with running_postgres() as server:
    print(server.process.pid, server.data, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid, data = run.stdout.readline().split()
        assert is_running(int(pid))
        run.kill()
    eventually("the server ends", lambda: not is_running(int(pid)))
    eventually("its folder goes", lambda: not Path(data).parent.exists())


def test_the_shared_server_ends_with_its_last_user(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from tests.harness.postgres_shared import shared_postgres
with shared_postgres(Path(sys.argv[1])) as postgres:
    print(postgres.url, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        url = first.stdout.readline().strip()
        with shared_postgres(tmp_path) as postgres:
            assert postgres.url == url
            first.kill()
            first.wait()
            time.sleep(0.2)
            assert asyncio.run(scalar(url, "SELECT 1")) == 1
    eventually("the server ends", lambda: not (tmp_path / "postgres.url").exists())
    with shared_postgres(tmp_path) as postgres:
        assert postgres.url != url
