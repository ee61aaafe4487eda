"""What all tests share: one running system for each worker, and loops of the kind that production runs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.system import RunningProcess, running_system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A running gateway and crud; tests use ids of their own."""
    with running_system(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest.fixture(scope="session")
def data_files() -> Path:
    """The folder with real input."""
    return Path(__file__).parent / "data"
