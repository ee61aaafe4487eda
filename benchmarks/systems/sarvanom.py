"""The project itself: `sarvanom up`, a supervisor with a gateway and a crud below it, or a crud alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import override

from benchmarks.identity import AUTHORIZATION, SETTINGS
from benchmarks.postgres import Postgres, running_postgres
from benchmarks.systems.base import Api, Command, Ports, Surroundings, System
from sarvanom.security.keyring import new_key

SARVANOM = (sys.executable, "-m", "sarvanom")
# All requests come from one caller. The limits are wide and not off, so that what they cost is measured too.
WIDE_LIMITS = {
    **{f"SARVANOM_LIMIT_{of}_PER_MINUTE": str(10**9) for of in ("READS", "WRITES", "BULK", "BYTES", "ANONYMOUS")},
    **{f"SARVANOM_LIMIT_{of}": str(10**9) for of in ("CONCURRENT", "STREAMS")},
    "SARVANOM_MAX_CONNECTIONS_PER_ADDRESS": "10000",
}


class SarvanOM(System):
    """Gateway and crud on embedded SQLite, with the defaults of an installation."""

    name = "sarvanom"
    api = Api(collection="/users", listing="/users?limit=50", headers={"Authorization": AUTHORIZATION})
    counted: tuple[str, ...] = ("gateway", "crud")

    @override
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        environment = {"SARVANOM_GATEWAY_PORT": str(ports.front), "SARVANOM_CRUD_PORT": str(ports.back)}
        return {"supervisor": Command((*SARVANOM, "up"), _settings(folder) | environment | WIDE_LIMITS)}

    @override
    def role_of(self, argv: list[str]) -> str | None:
        return next((role for role in self.counted if role in argv), None)


class SarvanOMPostgres(SarvanOM):
    """The same on a PostgreSQL of its own; all processes of the server count."""

    name = "sarvanom-postgres"
    counted = ("gateway", "crud", "postgres")

    @override
    @contextmanager
    def surroundings(self, folder: Path) -> Iterator[Surroundings]:
        with running_postgres(folder) as postgres:
            yield on_postgres(postgres, postgres.migrated_database())


class Crud(SarvanOM):
    """One crud, on embedded SQLite or on a database that is there already; the gateway before it is not counted."""

    def __init__(self, name: str, database: Surroundings | None = None) -> None:
        """Take a name, and the database; without one it is a file in the folder."""
        self.name = name
        self._database = database or Surroundings()
        self.counted = ("crud", *(process.role for process in self._database.processes))

    @override
    @contextmanager
    def surroundings(self, folder: Path) -> Iterator[Surroundings]:
        yield self._database

    @override
    def role_of(self, argv: list[str]) -> str | None:
        return next((role for role in SarvanOM.counted if role in argv), None)


def on_postgres(postgres: Postgres, url: str) -> Surroundings:
    """Name a database to the project, and the server as its surroundings."""
    return Surroundings({"SARVANOM_DATABASE_URL": url, "SARVANOM_MASTER_KEYS": new_key()}, (postgres.processes,))


def _settings(folder: Path) -> dict[str, str]:
    return {
        "SARVANOM_DATA_DIR": str(folder / "data"),
        "SARVANOM_LOG_LEVEL": "info",
        "SARVANOM_LOG_FORMAT": "json",
        **SETTINGS,
    }
