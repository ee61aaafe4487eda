"""The real system: `sarvanom crud` processes on one PostgreSQL server."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.postgres import PostgresServer, running_postgres
from tests.harness.system import RunningProcess
from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.faults import Fault
from tests.invariants.chaos.record import Record
from tests.invariants.chaos.run import Options, make_history


class RealCluster(Cluster):
    """`sarvanom crud` processes on a PostgreSQL server that can be hurt as well."""

    def __init__(self, postgres: PostgresServer, url: str, processes: list[RunningProcess]) -> None:
        super().__init__([process.crud_port for process in processes])
        self.postgres = postgres
        self.url = url
        self.processes = {process.crud_port: process for process in processes}

    def kill(self, port: int) -> None:
        self.down.add(port)
        self.processes[port].kill()

    def start(self, port: int) -> None:
        process = self.processes[port]
        process.start(f"{process.crud_url}/ready")
        self.down.discard(port)

    @property
    def faults(self) -> dict[str, Fault]:
        """What can go wrong with the processes and the server, by the names under which it is counted."""
        return {
            "crud killed": self.lose_crud,
            "backend killed": self.lose_backend,
            "postgres restarted": self.restart_postgres,
            "postgres killed": self.lose_postgres,
        }

    def lose_crud(self, chance: random.Random) -> None:
        port = chance.choice(self.ports)
        self.kill(port)
        time.sleep(chance.uniform(0, 1))
        self.start(port)

    def lose_backend(self, chance: random.Random) -> None:
        killed = False
        while not killed:
            backends = self.postgres.backends(urlsplit(self.url).path[1:])
            if backends:
                with contextlib.suppress(ProcessLookupError):
                    self.postgres.kill_backend(chance.choice(backends))
                    killed = True
        self.await_postgres()

    def restart_postgres(self, chance: random.Random) -> None:
        self.postgres.stop()
        time.sleep(chance.uniform(0, 2))
        self.postgres.start()

    def lose_postgres(self, chance: random.Random) -> None:
        self.postgres.kill()
        time.sleep(chance.uniform(0, 1))
        self.postgres.start()

    def await_postgres(self) -> None:
        """Return when the server has recovered: a process that starts meanwhile would rightly refuse to."""
        self.postgres.ask("SELECT 1")

    def fallen(self) -> list[str]:
        """Return the logs' ends of processes that ended by themselves."""
        processes = [process for port, process in self.processes.items() if port not in self.down]
        ended = [process for process in processes if process.process is None or process.process.poll() is not None]
        return [f"crud on port {process.crud_port} ended: {process.log.read_text()[-2000:]}" for process in ended]


def make_real_history(options: Options, processes: int, folder: Path) -> Record:
    """Make a history of a system that is started for it."""
    with running_cluster(folder, processes) as cluster:
        record = asyncio.run(make_history(options, cluster, cluster.faults))
        for what in cluster.fallen():
            record.surprise(what)
    return record


@contextlib.contextmanager
def running_cluster(folder: Path, processes: int) -> Iterator[RealCluster]:
    """Run a PostgreSQL server and crud processes on a fresh database of it, all in the folder."""
    with running_postgres() as postgres:
        url = postgres.create_database()
        settings = {"SARVANOM_DATABASE_URL": url}
        cruds = []
        for number in range(processes):
            data_dir = folder / f"crud{number}"
            data_dir.mkdir()
            cruds.append(RunningProcess(("crud",), data_dir, settings=settings))
        migrate(folder, settings)
        cluster = RealCluster(postgres, url, cruds)
        try:
            with ThreadPoolExecutor(processes) as threads:
                list(threads.map(cluster.start, cluster.ports))
            yield cluster
        finally:
            for crud in cruds:
                if crud.process is not None:
                    crud.stop()


def migrate(folder: Path, settings: dict[str, str]) -> None:
    """Bring the database to the newest version, which a server does not do at its start."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARVANOM_")}
    environment = {**inherited, "SARVANOM_DATA_DIR": str(folder), **settings}
    subprocess.run([sys.executable, "-m", "sarvanom", "migrate"], env=environment, cwd=folder, check=True, timeout=60)
