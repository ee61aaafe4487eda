"""Every implementation of `CRUDServiceContract`: the store in this process, and clients of real services."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.clients.service_client import ServiceClientFactory
from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from tests.contracts.samples import SAMPLES, Sample
from tests.harness.identity import ADMIN_KEY, signing_client
from tests.harness.postgres import PostgresDatabases
from tests.harness.secrets import sealed
from tests.harness.system import RunningProcess

IMPLEMENTATIONS = ("store", "postgres", "crud", "gateway")


def open_service(implementation: str, request: pytest.FixtureRequest, folder: Path) -> CRUDServiceContract:
    """Return one implementation, to be closed by the caller."""
    if implementation == "store":
        return StoredCRUDService(sealed(SQLiteStore(folder / "contract.db")))
    if implementation == "postgres":
        return StoredCRUDService(sealed(PostgresStore(migrated_database(request.getfixturevalue("postgres")))))
    system: RunningProcess = request.getfixturevalue("system")
    if implementation == "gateway":
        return ServiceClientFactory().crud(system.gateway_url, api_key=ADMIN_KEY)
    return signing_client(system.crud_url)


def migrated_database(postgres: PostgresDatabases) -> str:
    """Return the URL of a new database with our schema; there may be a loop in this thread."""
    url = postgres.create_database()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, migrate(url)).result()
    return url


@pytest_asyncio.fixture(params=IMPLEMENTATIONS, scope="session", loop_scope="session")
async def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CRUDServiceContract]:
    """An implementation, shared by all tests, which use ids of their own."""
    async with open_service(request.param, request, tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest_asyncio.fixture(params=IMPLEMENTATIONS, loop_scope="session")
async def own_service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CRUDServiceContract]:
    """An implementation for a test whose failure could spoil a store for others."""
    async with open_service(request.param, request, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(params=["store", "postgres"], loop_scope="session")
async def lone_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CRUDServiceContract]:
    """A store that nobody else writes to."""
    async with open_service(request.param, request, tmp_path) as opened:
        yield opened


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.resource.collection)
def sample(request: pytest.FixtureRequest) -> Sample:
    """One of the five resources."""
    chosen: Sample = request.param
    return chosen


@pytest.fixture
def collection(service: CRUDServiceContract, sample: Sample) -> CollectionContract[Any]:
    """The sample's collection in the implementation."""
    return sample.collection(service)
