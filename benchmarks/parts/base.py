"""What the parts have in common."""

import gc
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import MeasurementFailed
from benchmarks.postgres import Postgres, running_postgres
from benchmarks.results import Results
from benchmarks.steps import Steps
from sarvanom.web.server import settle_garbage

SQLITE, POSTGRES = "sqlite", "postgres"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a part works, and how long."""

    results: Results
    folder: Path
    steps: Steps
    seconds: int
    rounds: int
    connections: int
    rows: int
    """How many there are in the large table."""
    wrk: str | None

    @contextmanager
    def postgres(self, part: str) -> Iterator[Postgres]:
        """Run a server for a part alone."""
        folder = self.folder / f"{part}-server"
        folder.mkdir()
        with running_postgres(folder) as postgres:
            yield postgres


class Part(ABC):
    """One part of the benchmark; what fails is noted under its name, and that of the database."""

    name: str
    needs_wrk: bool = False

    @abstractmethod
    def measure(self, bench: Bench) -> None:
        """Measure, and put what was found into the results."""


@contextmanager
def collecting_as_services_do() -> Iterator[None]:
    """Have garbage collected as often as in a service, for parts that measure what services do in this process."""
    thresholds = gc.get_threshold()
    settle_garbage()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def fill_database(url: str, rows: int) -> None:
    """Fill a database with users, in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.clients.fill", url, str(rows))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MeasurementFailed(f"fill: {result.stdout}{result.stderr}")
