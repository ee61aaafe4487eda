"""PostgreSQL for tests: real servers on free ports, each with a data folder of its own, that leave nothing behind."""

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import asyncpg

from tests.harness.postgres_programs import (
    PostgresPrograms,
    everyone_may_enter,
    runnable_programs,
    temporary_folder,
)

START_SECONDS = 30.0
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    # A killed server leaves its segments behind: in its folder they go with it, in /dev/shm they would stay.
    "dynamic_shared_memory_type": "mmap",
}
# Waits until whoever started it ends, in whatever way, then ends what is left of the server: its first process, if that
# still works in the data folder ($1), the shared memory of one that was killed, and the folders to remove ($2 …).
GUARDIAN = """
read -r _
lock=$1/postmaster.pid
pid=$(sed -n 1p "$lock")
runs() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; }
runs "$1" && kill -QUIT "$pid"
for _ in $(seq 200); do runs "$1" || break; sleep 0.05; done
memory=$(sed -n '7s/.* //p' "$lock")
[ -n "$memory" ] && ipcrm -m "$memory"
shift
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"""


@dataclass
class PostgresDatabases:
    """What may be asked of any server, also of one that others use; every method blocks until it is done."""

    url: str

    def database_url(self, name: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def create_database(self) -> str:
        """Make an empty database with a name of its own and return its URL."""
        name = f"test_{secrets.token_hex(8)}"
        # Nobody connects to template0, so several may copy it at once; copying files beats logging every page.
        self.ask(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')
        return self.database_url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database and end its connections; it may be gone already."""
        self.ask(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def backends(self, database: str | None = None) -> list[int]:
        """Return the process ids of the connections, of one database or of all."""
        rows = self.ask(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND ($1::text IS NULL OR datname = $1) ORDER BY backend_start",
            database,
        )
        return [int(row["pid"]) for row in rows]

    def terminate_backends(self, database: str) -> None:
        """End the connections to the database, as an administrator does."""
        self.ask(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = $1 AND pid <> pg_backend_pid()",
            database,
        )

    def ask(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement in the first database and return its rows, whether or not an event loop runs here."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._ask(statement, *arguments)).result()

    async def _ask(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await self._connect()
        try:
            if arguments:
                return await connection.fetch(statement, *arguments)
            await connection.execute(statement)  # the simple protocol: CREATE DATABASE takes no other
            return []
        finally:
            await connection.close()

    async def _connect(self) -> asyncpg.Connection:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await asyncpg.connect(self.url, timeout=START_SECONDS, command_timeout=START_SECONDS)
            except ConnectionRefusedError:
                raise  # it was stopped, and that is the answer
            except (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, ConnectionError):
                # It recovers from the loss of a backend.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)


@dataclass(kw_only=True)
class PostgresServer(PostgresDatabases):
    """A server that a test may stop and kill."""

    url: str = ""
    programs: PostgresPrograms
    data: Path
    log: Path
    settings: Mapping[str, str]
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the data folder."""
        secret = self.data.with_name("password")
        secret.write_text(self.password)
        self.programs.give(secret)
        self.programs.run(
            "initdb",
            *("--pgdata", str(self.data), "--username", "postgres", "--pwfile", str(secret)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync", "--no-instructions"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--set", "scram_iterations=256"),  # a test opens many connections, and the password is random
            cwd=self.data.parent,
        )
        secret.unlink()

    def start(self) -> None:
        """Start, on the same port as before, and wait until connections are accepted; a crash is recovered from."""
        assert self.process is None or self.process.poll() is not None, "it runs"
        deadline = time.monotonic() + START_SECONDS
        first = not self.port
        while True:
            self.port = free_port() if first else self.port
            said = self._try_start(deadline)
            if said is None:
                break
            # After a crash the backends may need a moment to notice it; of a new server's port others may be first.
            again = "pre-existing shared memory block" in said or (first and "could not bind" in said)
            if not again or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{said}")
            time.sleep(0.05)
        self.url = f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def _try_start(self, deadline: float) -> str | None:
        """Start the server; if that fails, return what it said."""
        settings = {**SETTINGS, **self.settings, "port": str(self.port)}
        with self.log.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                [
                    self.programs.bin / "postgres",
                    *("-D", self.data),
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ],
                env=self.programs.environment(),
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests
                **self.programs.as_user,
            )
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop("immediate")
                return self.log.read_bytes()[before:].decode(errors="replace")
            time.sleep(0.01)
        return None

    def _is_ready(self) -> bool:
        """Tell whether the server says so in its lock file, whose lines `src/include/utils/pidfile.h` explains."""
        assert self.process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop as `pg_ctl stop` does; a stopped server stays so."""
        self._end(STOP_SIGNALS[mode])

    def kill(self) -> None:
        """End the first process without warning; the others follow by themselves."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(START_SECONDS)

    def kill_backend(self, pid: int) -> None:
        """End one connection's process without warning and wait until the server has seen it: it restarts them all."""
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                time.sleep(0.005)


def free_port() -> int:
    """Return a free port that is not handed out to connections and to listeners that ask for any port."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running_postgres(folder: Path | None = None, **settings: str) -> Iterator[PostgresServer]:
    """Run a server with these settings, with its data in the folder, or in one that is removed afterwards.

    Such a folder stays, and as root it has to be one that any user may enter. Without one the data is in memory, if
    there is enough; measure on a disk by naming a folder.
    """
    if folder is None:
        home = temporary_folder(in_memory=True)
        removed = [home]
    else:
        assert os.geteuid() or everyone_may_enter(folder), f"PostgreSQL runs as nobody, who may not enter {folder}"
        home = folder.resolve() / "postgres"
        home.mkdir()
        removed = []
    copy = temporary_folder()
    guardian = subprocess.Popen(
        ["sh", "-c", GUARDIAN, "postgres-guardian", home / "data", copy, *removed],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        programs = runnable_programs(copy)
        programs.give(home)
        server = PostgresServer(programs=programs, data=home / "data", log=home / "log", settings=settings)
        try:
            server.initialise()
            server.start()
            yield server
        finally:
            server.stop("immediate" if folder is None else "fast")
    finally:
        guardian.communicate()
