"""What all tests share: one running system for each worker, and one PostgreSQL for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.harness.postgres import PostgresDatabases
from tests.harness.postgres_shared import shared_postgres
from tests.harness.system import RunningProcess, running_system
from tests.harness.valkey import ValkeyServer, running_valkey

settings.register_profile("sarvanom", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("sarvanom")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A running gateway and crud; tests use ids of their own."""
    with running_system(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest.fixture(scope="session")
def data_files() -> Path:
    """The folder with real input."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabases]:
    """The server that the whole run shares, or the one at SARVANOM_TEST_POSTGRES_URL: no test stops or kills it."""
    existing = os.environ.get("SARVANOM_TEST_POSTGRES_URL")
    if existing:
        yield PostgresDatabases(existing)
        return
    base = tmp_path_factory.getbasetemp()
    with shared_postgres(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as running:
        yield running


@pytest.fixture
def postgres_database(postgres: PostgresDatabases) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A server that no test stops or kills; tests use keys of their own."""
    with running_valkey() as running:
        yield running
