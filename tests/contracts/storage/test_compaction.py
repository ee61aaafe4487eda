"""Compaction: what is let go, by count and by age, and that everything from the floor on stays exact."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from sarvanom.backends.storage.contract import Store
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.resources import DATASETS, format_timestamp
from tests.contracts.storage.histories import Replay, apply, check_log, random_steps
from tests.contracts.storage.writing import all_changes, dataset, put, putting, remove

MANY = 2_500
BATCH = 1_000


async def fill(store: Store, count: int) -> None:
    """Make so many changes of three resources."""
    await store.write_all([putting(DATASETS, dataset("abc"[number % 3], size=number)) for number in range(count)])


async def compact_fully(store: Store, *, keep: int | None = None, before: str | None = None) -> list[int]:
    """Compact until there is nothing left to let go of; return how many revisions each batch took."""
    batches = []
    while taken := await store.log.compact(keep=keep, before=before):
        batches.append(taken)
    return batches


@pytest.mark.parametrize(("keep", "gone"), [(100, 0), (12, 0), (11, 1), (5, 7), (1, 11), (0, 12)])
async def test_newest_changes_are_kept_by_their_count(store: Store, keep: int, gone: int) -> None:
    await fill(store, 12)
    changes = await all_changes(store)
    assert await store.log.compact(keep=keep) == gone
    assert await store.log.bounds() == LogBounds(gone, 12)
    assert await all_changes(store) == changes[gone:]
    assert await store.log.compact(keep=keep) == 0


async def test_old_changes_go_by_their_age(store: Store) -> None:
    await fill(store, 6)
    await asyncio.sleep(0.002)
    between = format_timestamp(datetime.now(UTC))
    await asyncio.sleep(0.002)
    await fill(store, 5)
    oldest = (await all_changes(store))[0].time
    assert await store.log.compact(before=oldest) == 0
    assert await store.log.compact(before=between) == 6
    assert await store.log.bounds() == LogBounds(6, 11)
    assert await store.log.compact(before=between) == 0
    assert await store.log.compact(before="9999") == 5
    assert await store.log.bounds() == LogBounds(11, 11)


async def test_change_goes_if_it_is_too_old_or_one_too_many(store: Store) -> None:
    await fill(store, 6)
    oldest = (await all_changes(store))[0].time
    assert await store.log.compact(keep=4, before=oldest) == 2
    assert await store.log.compact(keep=100, before="9999") == 4


async def test_nothing_is_let_go_that_nobody_asked_for(store: Store) -> None:
    assert await store.log.compact(keep=0, before="9999") == 0
    await fill(store, 3)
    assert await store.log.compact() == 0
    assert await store.log.bounds() == LogBounds(0, 3)


@pytest.mark.parametrize("way", [{"keep": 100}, {"before": "9999"}], ids=["count", "age"])
async def test_one_call_lets_go_of_one_batch(store: Store, way: dict[str, int | str]) -> None:
    await fill(store, MANY)
    gone = MANY - (100 if "keep" in way else 0)
    batches = await compact_fully(store, **way)  # type: ignore[arg-type]
    assert batches == [BATCH, BATCH, gone - 2 * BATCH]
    assert await store.log.bounds() == LogBounds(gone, MANY)


async def test_entries_before_the_floor_are_gone(store: Store) -> None:
    await fill(store, 9)
    await store.log.compact(keep=4)
    assert [await store.log.change(revision) for revision in range(6)] == [None] * 6
    assert [change and change.revision for change in [await store.log.change(n) for n in (6, 9)]] == [6, 9]
    page = await store.log.page(ChangeQuery(None, "datasets", "a"))
    assert [change.revision for change in page.changes] == [7]


async def test_state_before_a_change_above_the_floor_is_still_told(store: Store) -> None:
    """Which is what undoing it needs."""
    await fill(store, 9)
    await store.log.compact(keep=3)
    for change in await all_changes(store):
        assert change.previous == change.revision - 3
    state = await store.log.state(DATASETS, "a", 6)
    assert state is not None
    assert state.revision == 4


async def test_floor_may_follow_every_write(store: Store) -> None:
    for number in range(5):
        await put(store, DATASETS, dataset("a", size=number))
        await store.log.compact(keep=0)
        state = await store.log.state(DATASETS, "a", number + 1)
        assert state is not None
        assert state.revision == number + 1
    await remove(store, DATASETS, "a")
    await store.log.compact(keep=0)
    assert await store.log.state(DATASETS, "a", 6) is None
    created = await put(store, DATASETS, dataset("a"))
    change = await store.log.change(created.revision)
    assert change is not None
    assert (change.kind, change.previous, change.revision) == ("create", None, 7)


@pytest.mark.parametrize("seed", range(4))
async def test_everything_from_the_floor_on_stays_exact(store: Store, seed: int) -> None:
    replay = Replay([])
    for round in range(4):
        await apply(store, random_steps(seed * 10 + round, 25))
        floor = (await store.log.bounds()).floor
        replay = await replay.follow(store)
        await store.log.compact(keep=(replay.head - floor) // (seed + 2))
        await check_log(store, replay)


async def test_writers_go_on_while_the_log_is_compacted(store: Store, other: Store) -> None:
    await fill(store, 2 * MANY)
    is_done = asyncio.Event()

    async def compact() -> int:
        batches = 0
        while (await store.log.bounds()).floor < 2 * MANY:
            assert 0 < await store.log.compact(keep=0) <= BATCH
            batches += 1
        is_done.set()
        return batches

    async def write(writer: Store, id: str) -> list[float]:
        took = []
        while not is_done.is_set():
            started = time.monotonic()
            await put(writer, DATASETS, dataset(id))
            took.append(time.monotonic() - started)
        return took

    batches, own, others = await asyncio.gather(compact(), write(store, "own"), write(other, "other"))
    assert batches >= 5
    assert own
    assert others
    assert max(own + others) < 5.0
    assert (await store.log.bounds()).head == 2 * MANY + len(own) + len(others)


async def test_two_stores_may_compact_at_once(store: Store, other: Store) -> None:
    await fill(store, MANY)
    replay = Replay(await all_changes(store))
    batches = [
        taken for _ in range(4) for taken in await asyncio.gather(store.log.compact(keep=7), other.log.compact(keep=7))
    ]
    rest = await compact_fully(other, keep=7)
    assert sum(batches) + sum(rest) == MANY - 7
    assert await store.log.bounds() == await other.log.bounds() == LogBounds(MANY - 7, MANY)
    await check_log(store, replay)
    await check_log(other, replay)
