"""The state at a revision, and waiting for the next one."""

import asyncio
import time

import pytest

from sarvanom.backends.storage.contract import Store, Written
from sarvanom.backends.storage.log import Change
from sarvanom.shared.errors import RevisionCompacted, ValidationFailed
from sarvanom.shared.resources import CACHE, DATASETS, MODELS
from tests.contracts.storage.histories import LOGGED, Replay, apply, random_steps
from tests.contracts.storage.writing import all_changes, dataset, entry, put, refusing, remove

SOON = 5.0  # s; much longer than it takes, much shorter than what is waited for
LONG = 60.0


async def test_state_at_every_revision_is_what_a_replay_gives(store: Store) -> None:
    await apply(store, random_steps(seed=11, count=120))
    replay = Replay(await all_changes(store))
    revisions = range(replay.head + 1)
    for resource, id in LOGGED:
        states = await asyncio.gather(*(store.log.state(resource, id, revision) for revision in revisions))
        assert states == [replay.state(resource, id, revision) for revision in revisions]
    for resource, id in LOGGED:
        document = await store.read(resource, id)
        assert (document and document.body) == replay.body(resource, id, replay.head)


async def test_state_of_what_never_was_is_nothing(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    assert await store.log.state(DATASETS, "b", 1) is None
    assert await store.log.state(MODELS, "a", 1) is None
    assert await store.log.state(DATASETS, "a", 0) is None


async def test_state_after_a_deletion_is_the_deletion(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    await remove(store, DATASETS, "a")
    state = await store.log.state(DATASETS, "a", 2)
    assert isinstance(state, Change)
    assert (state.kind, state.body) == ("delete", None)


async def test_state_before_the_floor_is_gone(store: Store) -> None:
    for number in range(6):
        await put(store, DATASETS, dataset("a", size=number))
    await store.log.compact(keep=2)
    for id in ("a", "never"):
        with pytest.raises(RevisionCompacted) as caught:
            await store.log.state(DATASETS, id, 3)
        assert caught.value.headers["SarvanOM-Oldest-Revision"] == "4"
    state = await store.log.state(DATASETS, "a", 4)
    assert state is not None
    assert state.revision == 4


async def test_state_that_is_still_to_come_is_refused(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    for id in ("a", "never"):
        with pytest.raises(ValidationFailed) as caught:
            await store.log.state(DATASETS, id, 2)
        assert [error.field for error in caught.value.errors] == ["at_revision"]


async def test_revisions_that_no_database_could_number_are_only_far_away(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    for revision in (2**31, 2**63 - 1, 2**63, 2**100):
        assert await store.log.change(revision) is None
        with pytest.raises(ValidationFailed):
            await store.log.state(DATASETS, "a", revision)


async def test_state_that_is_just_coming_is_refused_or_right(store: Store, other: Store) -> None:
    count = 100

    async def ask(revision: int) -> Change | None:
        while True:
            try:
                return await store.log.state(DATASETS, "a", revision)
            except ValidationFailed:
                await asyncio.sleep(0)

    async def follow() -> list[int]:
        states = [await ask(revision) for revision in range(1, count + 1)]
        return [state.revision for state in states if state is not None]

    async def write() -> None:
        for number in range(count):
            await put(other, DATASETS, dataset("a", size=number))

    seen, _ = await asyncio.gather(follow(), write())
    assert seen == [*range(1, count + 1)]


async def test_who_is_behind_waits_for_nothing(store: Store) -> None:
    for number in range(3):
        await put(store, DATASETS, dataset("a", size=number))
    async with asyncio.timeout(SOON):
        assert [await store.log.wait(since, LONG) for since in (0, 1, 2)] == [3, 3, 3]


async def test_nothing_new_is_told_after_the_time(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    started = time.monotonic()
    assert await store.log.wait(1, 0.2) == 1
    assert 0.15 < time.monotonic() - started < SOON
    assert await store.log.wait(1, 0) == 1


@pytest.mark.parametrize("writer", ["store", "other"])
async def test_all_who_wait_hear_of_a_write_by_whichever_store(
    store: Store, other: Store, writer: str, request: pytest.FixtureRequest
) -> None:
    writing: Store = request.getfixturevalue(writer)
    waiting = [asyncio.ensure_future(store.log.wait(0, LONG)) for _ in range(20)]
    await asyncio.sleep(0.1)
    assert not any(one.done() for one in waiting)
    async with asyncio.timeout(SOON):
        await put(writing, DATASETS, dataset("a"))
        assert await asyncio.gather(*waiting) == [1] * 20


@pytest.mark.parametrize("writer", ["store", "other"])
async def test_no_write_is_missed_between_two_waits(
    store: Store, other: Store, writer: str, request: pytest.FixtureRequest
) -> None:
    writing: Store = request.getfixturevalue(writer)

    async def follow() -> int:
        seen = 0
        while seen < 30:
            seen = await store.log.wait(seen, LONG)
        return seen

    async def write() -> None:
        for number in range(30):
            await put(writing, DATASETS, dataset("a", size=number))

    async with asyncio.timeout(4 * SOON):
        seen, _ = await asyncio.gather(follow(), write())
    assert seen == 30


async def test_what_is_not_logged_ends_no_wait(store: Store) -> None:
    await put(store, CACHE, entry("warm"))
    waiting = asyncio.ensure_future(store.log.wait(0, 0.5))
    await asyncio.sleep(0.05)
    await put(store, CACHE, entry("a"))
    outcomes = await store.write_all([refusing(DATASETS, "a")])
    assert not isinstance(outcomes[0], Written)
    assert await waiting == 0


async def test_wait_that_is_cancelled_harms_no_other(store: Store) -> None:
    gone, stays = (asyncio.ensure_future(store.log.wait(0, LONG)) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(SOON):
        await put(store, DATASETS, dataset("a"))
        assert await stays == 1
    assert gone.cancelled()
