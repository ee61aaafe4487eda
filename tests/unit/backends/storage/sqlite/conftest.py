"""A store in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sarvanom.backends.storage.sqlite import database
from sarvanom.backends.storage.sqlite.store import SQLiteStore


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is not there yet; whoever finds it locked gives up at once."""
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 0)
    return tmp_path / "s.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(file)
    yield store
    await store.aclose()
