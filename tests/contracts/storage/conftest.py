"""Every implementation of `Store`, each with an empty database in every test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from sarvanom.backends.storage.contract import Store
from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.backends.storage.tables import COUNTERS, METADATA
from tests.harness.postgres import PostgresDatabases

type OpenStore = Callable[[], Store]
"""Opens the test's database once more; the test need not close the store."""


def sqlite_stores(request: pytest.FixtureRequest) -> OpenStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: SQLiteStore(folder / "contract.db")


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresDatabases) -> Iterator[str]:
    """The URL of a database that the tests of one worker use in turn: making one takes longer than most of them."""
    url = postgres.create_database()
    run(migrate(url))
    yield url
    postgres.drop_database(url)


def postgres_stores(request: pytest.FixtureRequest) -> OpenStore:
    url: str = request.getfixturevalue("migrated_postgres")
    run(empty(url))
    return lambda: PostgresStore(url)


async def empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        deletions = (f"DELETE FROM {table.name}" for table in reversed(METADATA.sorted_tables) if table is not COUNTERS)
        await connection.execute(";".join([*deletions, f"UPDATE {COUNTERS.name} SET value = 0"]))
    finally:
        await connection.close()


def run(work: Coroutine[Any, Any, object]) -> None:
    """Run to the end beside this thread, which may have a loop that runs."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, work).result()


IMPLEMENTATIONS: Final[dict[str, Callable[[pytest.FixtureRequest], OpenStore]]] = {
    "sqlite": sqlite_stores,
    "postgres": postgres_stores,
}


@pytest.fixture(params=IMPLEMENTATIONS)
async def open_store(request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    """What opens one more store on the test's database."""
    open_one = IMPLEMENTATIONS[request.param](request)
    opened: list[Store] = []

    def open_another() -> Store:
        opened.append(open_one())
        return opened[-1]

    yield open_another
    for store in opened:
        await store.aclose()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """A store that is empty."""
    return open_store()


@pytest.fixture
def other(open_store: OpenStore, store: Store) -> Store:
    """A second store on the same database, as another process has it."""
    return open_store()
