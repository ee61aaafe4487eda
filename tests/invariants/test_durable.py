"""Invariant 1: an acknowledged write survives `kill -9` of crud, and the file is whole."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sarvanom.shared.clients.service_client import CRUDServiceClient, ServiceClient, ServiceClientFactory
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.models.crud_models import SystemSetting
from tests.harness.identity import SigningTransport
from tests.harness.system import RunningProcess, running_crud

WRITES = 10_000
CONNECTIONS = 32


@dataclass
class Journal:
    """What the writers were told: acknowledged with a revision, refused for certain, or neither."""

    acknowledged: dict[int, int] = field(default_factory=dict)
    ambiguous: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{len(self.acknowledged)} acknowledged, {len(self.ambiguous)} ambiguous, {len(self.refused)} refused"


def setting(number: int) -> SystemSetting:
    """Return the setting with this number; its content follows from it."""
    return SystemSetting(
        setting_key=f"durable/{number:05}",
        setting_value={"number": number, "text": f"{number:x}" * (number % 50)},
        category=f"category {number % 7}",
    )


@asynccontextmanager
async def lean_client(url: str) -> AsyncIterator[CRUDServiceClient]:
    """Connect as the gateway does; the caller's own client costs the test ten times as much."""
    async with CRUDServiceClient(ServiceClient(SigningTransport(ServiceClientFactory().hop(url)))) as client:
        yield client


class Writers:
    """Write each number once, from many connections; whoever fails waits until crud is there again."""

    def __init__(self, client: CRUDServiceClient, crud: RunningProcess, kill_after: int) -> None:
        self.client = client
        self.crud = crud
        self.kill_after = kill_after
        self.journal = Journal()
        self.numbers = iter(range(WRITES))
        self.killed = asyncio.Event()
        self.restarted = asyncio.Event()

    async def write(self) -> None:
        for number in self.numbers:
            try:
                written = await self.client.settings.create(setting(number))
            except (UpstreamFailed, UpstreamTimeout):
                self.journal.ambiguous.add(number)
                await self.restarted.wait()
            except ServiceUnavailable:
                self.journal.refused.add(number)
                await self.restarted.wait()
            else:
                assert written.revision is not None
                self.journal.acknowledged[number] = written.revision
                if len(self.journal.acknowledged) == self.kill_after:
                    self.kill()

    def kill(self) -> None:
        """Kill at once, with writes under way and acknowledgements not yet read."""
        assert self.crud.process is not None
        self.crud.process.kill()
        self.killed.set()

    async def restart(self) -> None:
        crud = self.crud
        await self.killed.wait()
        await asyncio.to_thread(crud.kill)
        await asyncio.to_thread(copy_database, crud.data_dir)
        await asyncio.to_thread(crud.start, f"{crud.crud_url}/ready")
        self.restarted.set()


def copy_database(folder: Path) -> None:
    """Keep the files as the killed process left them, before anybody repairs them."""
    (folder / "left").mkdir()
    for file in folder.glob("sarvanom.db*"):
        shutil.copy(file, folder / "left")


async def write_through_a_kill(crud: RunningProcess, kill_after: int) -> tuple[Journal, dict[int, SystemSetting]]:
    """Return what the writers were told, and what is stored afterwards."""
    async with lean_client(crud.crud_url) as client:
        writers = Writers(client, crud, kill_after)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writers.restart())
            for _ in range(CONNECTIONS):
                tasks.create_task(writers.write())
        stored = [item async for item in client.settings.iterate()]
    return writers.journal, {int(item.setting_key.rpartition("/")[2]): item for item in stored}


def inspect_file(path: Path) -> tuple[list[str], list[str], int]:
    """Return what SQLite says of the file's integrity and foreign keys, and the store's counter of revisions."""
    with sqlite3.connect(path) as connection:
        integrity = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        dangling = [str(row) for row in connection.execute("PRAGMA foreign_key_check")]
        counter = connection.execute("SELECT value FROM counters WHERE name = 'revision'").fetchone()[0]
    connection.close()
    return integrity, dangling, counter


async def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    kill_after = random.Random(seed).randrange(WRITES // 10, WRITES * 9 // 10)
    with running_crud(tmp_path) as crud:
        journal, stored = await write_through_a_kill(crud, kill_after)
    integrity, dangling, counter = inspect_file(tmp_path / "sarvanom.db")

    told = f"{journal}; killed after {kill_after}, {len(stored)} stored (seed {seed})"
    acknowledged = set(journal.acknowledged)
    assert len(acknowledged) + len(journal.ambiguous) + len(journal.refused) == WRITES, told
    assert len(acknowledged) >= WRITES - 2 * CONNECTIONS, told
    assert acknowledged <= set(stored), f"lost {sorted(acknowledged - set(stored))[:5]}: {told}"
    assert not journal.refused & set(stored), f"stored though refused: {told}"
    for number, revision in journal.acknowledged.items():
        assert stored[number].revision == revision, told
    for number, item in stored.items():
        assert item.model_dump(exclude=set(item.server_fields)) == setting(number).model_dump(
            exclude=set(item.server_fields)
        ), told
    revisions = sorted(item.revision or 0 for item in stored.values())
    # The administrator's key has the first.
    assert revisions == list(range(2, len(stored) + 2)), f"revisions with gaps or repeats: {told}"
    assert counter == len(stored) + 1, told
    assert (integrity, dangling) == (["ok"], []), told
    integrity, dangling, counter = inspect_file(tmp_path / "left" / "sarvanom.db")
    assert (integrity, dangling) == (["ok"], []), f"as the kill left it: {told}"
    assert counter >= kill_after, f"as the kill left it: {told}"
