"""Stores on databases of a real server, with a network between that a test may cut."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.services.crud.collections import StoredCRUDService
from tests.harness.postgres import PostgresServer, running_postgres
from tests.harness.secrets import sealed
from tests.unit.backends.storage.postgres.proxy import Proxy, running_proxy


@pytest_asyncio.fixture
async def database(postgres_database: str) -> str:
    """The URL of a database with our schema."""
    await migrate(postgres_database)
    return postgres_database


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    """A store without a network between."""
    store = PostgresStore(database)
    yield store
    await store.aclose()


@pytest.fixture
def service(store: PostgresStore) -> StoredCRUDService:
    """The five collections over the store."""
    return StoredCRUDService(sealed(store))


@pytest_asyncio.fixture
async def network(database: str) -> AsyncIterator[Proxy]:
    """What lies between a store and its database."""
    async with running_proxy(database) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that a test may stop and kill, and leaves running."""
    with running_postgres() as running:
        yield running
