"""The store is looked at now and then, whatever comes of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.measuring import measure_store
from sarvanom.services.crud.storage import SQLITE, open_store
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.observations import CacheMeasured, ErrorUnforeseen, Observation, StoreMeasured, listen

type Told = list[Observation]


@pytest.fixture
def told() -> Iterator[Told]:
    found: Told = []
    kinds: tuple[type[Observation], ...] = (StoreMeasured, CacheMeasured, ErrorUnforeseen)
    ends = [listen(kind, found.append) for kind in kinds]
    yield found
    for end in ends:
        end()


async def measure(folder: Path, told: Told, looks: int) -> None:
    store = open_store(f"{SQLITE}{folder / 'sarvanom.db'}", connections=1)
    measuring = asyncio.create_task(measure_store(store, seconds=0.001))
    try:
        async with asyncio.timeout(10):
            while sum(isinstance(one, StoreMeasured) for one in told) < looks:  # noqa: ASYNC110 (to tell sets no event)
                await asyncio.sleep(0.001)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        await store.aclose()


async def test_the_revision_and_the_cache_are_told_of(tmp_path: Path, told: Told) -> None:
    await measure(tmp_path, told, 2)
    assert told[:3] == [
        StoreMeasured(is_available=True),
        CacheMeasured(0, 0),
        StoreMeasured(is_available=True),
    ]


@pytest.mark.parametrize(("error", "unforeseen"), [(ServiceUnavailable("away"), 0), (ZeroDivisionError(), 1)])
async def test_a_look_that_fails_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: Told, error: Exception, unforeseen: int
) -> None:
    failing = [error]
    look = SQLiteStore.look

    async def fail_once(store: SQLiteStore) -> object:
        if failing:
            raise failing.pop()
        return await look(store)

    monkeypatch.setattr(SQLiteStore, "look", fail_once)
    await measure(tmp_path, told, 2)
    assert [one.is_available for one in told if isinstance(one, StoreMeasured)][:2] == [False, True]
    assert sum(isinstance(one, ErrorUnforeseen) for one in told) == unforeseen
