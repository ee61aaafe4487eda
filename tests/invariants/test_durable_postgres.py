"""Invariant 1 over PostgreSQL: an acknowledged write survives `kill -9` of crud and of the database's first process."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sarvanom.shared.clients.service_client import CRUDServiceClient
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.harness.postgres import PostgresDatabases, PostgresServer, running_postgres
from tests.harness.system import RunningProcess, running_crud
from tests.invariants.test_durable import Journal, lean_client, setting
from tests.services.commands import run

WRITES = 1_500
CONNECTIONS = 32


class Writers:
    """Write each number once, from many connections, while something kills what they write to."""

    def __init__(self, client: CRUDServiceClient, kills: dict[int, Callable[[], Any]]) -> None:
        self.client = client
        self.kills = kills
        self.journal = Journal()
        self.numbers = iter(range(WRITES))
        self.killing: list[asyncio.Task[Any]] = []

    async def write(self) -> None:
        for number in self.numbers:
            try:
                written = await self.client.settings.create(setting(number))
            except (UpstreamFailed, UpstreamTimeout):
                self.journal.ambiguous.add(number)
                await asyncio.sleep(0.1)
            except ServiceUnavailable:
                self.journal.refused.add(number)
                await asyncio.sleep(0.1)
            else:
                assert written.revision is not None
                self.journal.acknowledged[number] = written.revision
                kill = self.kills.pop(len(self.journal.acknowledged), None)
                if kill is not None:
                    self.killing.append(asyncio.create_task(asyncio.to_thread(kill)))

    async def run(self) -> None:
        await asyncio.gather(*(self.write() for _ in range(CONNECTIONS)))
        await asyncio.gather(*self.killing)


def kill_crud(crud: RunningProcess) -> None:
    crud.kill()
    crud.start(f"{crud.crud_url}/ready")


def kill_postgres(server: PostgresServer) -> None:
    server.kill()
    server.start()


async def test_acknowledged_writes_survive_kills_of_crud_and_of_the_database(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    first, second, third = sorted(random.Random(seed).sample(range(WRITES // 10, WRITES // 2), 3))
    with running_postgres() as server:
        url = server.create_database()
        database = {"SARVANOM_DATABASE_URL": url}
        assert run(["migrate"], tmp_path, database).returncode == 0
        with running_crud(tmp_path, **database) as crud:
            kills = {
                first: lambda: kill_postgres(server),
                second: lambda: kill_crud(crud),
                third: lambda: kill_postgres(server),
            }
            async with lean_client(crud.crud_url) as client:
                writers = Writers(client, kills)
                await writers.run()
        databases = PostgresDatabases(url)
        rows = databases.ask("SELECT revision, id FROM changes WHERE $1 ORDER BY revision", True)
        tables = databases.ask("SELECT revision, setting_key FROM settings WHERE $1 ORDER BY revision", True)
        [head] = databases.ask("SELECT value FROM counters WHERE name = $1", "revision")
    administrator, *rows = rows
    assert tuple(administrator) == (1, "key-administrator")
    journal = writers.journal
    told = f"{journal}; {len(rows)} stored (seed {seed})"
    stored = {int(row["id"].rpartition("/")[2]): row["revision"] for row in rows}
    assert len(stored) == len(rows), f"something was done twice: {told}"
    assert [row["revision"] for row in rows] == list(range(2, len(rows) + 2)), told
    assert head["value"] == len(rows) + 1, told
    assert [tuple(row) for row in tables] == [tuple(row) for row in rows], told
    for number, revision in journal.acknowledged.items():
        assert stored.get(number) == revision, f"{number} was acknowledged as {revision}: {told}"
    assert not journal.refused & set(stored), f"stored though refused: {told}"
    assert len(journal.acknowledged) > third, told
