"""Idempotency keys: a write with a key is carried out once, and told again as it was."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from sarvanom.backends.storage.contract import Origin, Removed, Revert, Store, Write, Written
from sarvanom.shared.errors import IdempotencyKeyReused, ResourceConflict
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, USERS
from tests.contracts.storage.writing import (
    Refused,
    all_changes,
    dataset,
    entry,
    head,
    keyed,
    patching,
    put,
    putting,
    refusing,
    remove,
    removing,
    together,
    told,
    user,
)

type MakeWrite = Callable[[Origin], Write]

WRITES: Final[dict[str, MakeWrite]] = {
    "create": lambda origin: putting(DATASETS, dataset("new", size=1), origin),
    "replace": lambda origin: putting(DATASETS, dataset("old", size=2), origin),
    "patch": lambda origin: patching(DATASETS, "old", origin, size=3),
    "delete": lambda origin: removing(DATASETS, "old", origin),
    "create in cache": lambda origin: putting(CACHE, entry("new", tags=["t"]), origin),
    "replace in cache": lambda origin: putting(CACHE, entry("old", tags=["u"]), origin),
    "patch in cache": lambda origin: patching(CACHE, "old", origin, tags=["v"]),
    "delete in cache": lambda origin: removing(CACHE, "old", origin),
}
TAGGED: Final = parse_query(CACHE, b"tags__contains=t").conditions


@pytest.fixture(params=WRITES)
def make(request: pytest.FixtureRequest) -> MakeWrite:
    """One way to write."""
    return WRITES[request.param]


@pytest.fixture(params=["create", "patch", "delete in cache"])
def make_some(request: pytest.FixtureRequest) -> MakeWrite:
    """A way to write, one for each form in which a key is kept."""
    return WRITES[request.param]


@pytest.fixture
async def filled(store: Store) -> Store:
    """A store with something to change."""
    await put(store, DATASETS, dataset("old"))
    await put(store, CACHE, entry("old", tags=["t"]))
    return store


def replay_of(outcome: object) -> Written:
    """Return what a replay of the outcome must be."""
    assert isinstance(outcome, Written)
    assert not outcome.is_replay
    return outcome._replace(is_replay=True)


async def test_same_request_is_carried_out_once(filled: Store, make: MakeWrite) -> None:
    first = await filled.write(make(keyed("k")))
    changes = await all_changes(filled)
    assert [await filled.write(make(keyed("k"))) for _ in range(2)] == [replay_of(first)] * 2
    assert await all_changes(filled) == changes


async def test_same_request_at_once_is_carried_out_once(filled: Store, make: MakeWrite) -> None:
    outcomes = await together(filled, [make(keyed("k")) for _ in range(8)])
    [first] = [outcome for outcome in outcomes if isinstance(outcome, Written) and not outcome.is_replay]
    assert outcomes.count(replay_of(first)) == 7


async def test_same_request_in_one_group_is_carried_out_once(filled: Store, make_some: MakeWrite) -> None:
    first, *others = await filled.write_all([make_some(keyed("k")) for _ in range(3)])
    assert others == [replay_of(first)] * 2


async def test_replay_tells_the_first_answer_after_later_changes(filled: Store, make: MakeWrite) -> None:
    write = make(keyed("k"))
    first = await filled.write(write)
    later = dataset(write.id, size=99) if write.resource is DATASETS else entry(write.id, tags=["later"])
    await put(filled, write.resource, later)
    assert await filled.write(make(keyed("k"))) == replay_of(first)
    await remove(filled, write.resource, write.id)
    assert await filled.write(make(keyed("k"))) == replay_of(first)
    assert await filled.read(write.resource, write.id) is None


async def test_replay_is_told_by_another_store(filled: Store, other: Store, make_some: MakeWrite) -> None:
    first = await filled.write(make_some(keyed("k")))
    assert await other.write(make_some(keyed("k"))) == replay_of(first)


async def test_two_stores_with_one_key_act_once(filled: Store, other: Store, make: MakeWrite) -> None:
    halves = await asyncio.gather(*(together(one, [make(keyed("k"))] * 4) for one in (filled, other)))
    outcomes = [outcome for half in halves for outcome in half]
    [first] = [outcome for outcome in outcomes if isinstance(outcome, Written) and not outcome.is_replay]
    assert outcomes.count(replay_of(first)) == 7


async def test_another_request_under_the_key_is_refused(filled: Store, make_some: MakeWrite) -> None:
    await filled.write(make_some(keyed("k")))
    before = await all_changes(filled)
    for write in (make_some(keyed("k", b"another")), putting(USERS, user("x"), keyed("k", b"third"))):
        with pytest.raises(IdempotencyKeyReused):
            await filled.write(write)
    assert await all_changes(filled) == before
    assert (await filled.write(make_some(keyed("k")))).is_replay


async def test_two_requests_under_one_key_in_one_group_act_once(filled: Store) -> None:
    outcomes = await filled.write_all(
        [putting(DATASETS, dataset(id), keyed("k", id.encode())) for id in "abc"] + [putting(DATASETS, dataset("d"))]
    )
    assert [told(outcome) for outcome in outcomes] == [2, IdempotencyKeyReused, IdempotencyKeyReused, 3]


async def test_key_is_one_for_what_is_logged_and_what_is_not(store: Store, other: Store) -> None:
    for number in range(6):
        key = f"k{number}"
        writes = [putting(DATASETS, dataset(key), keyed(key, b"d")), putting(CACHE, entry(key), keyed(key, b"c"))]
        halves = await asyncio.gather(*(together(one, writes) for one in (store, other)))
        acted = [outcome for half in halves for outcome in half if isinstance(outcome, Written)]
        assert sorted(outcome.is_replay for outcome in acted) == [False, True]
        is_there = [await store.read(resource, key) is not None for resource in (DATASETS, CACHE)]
        assert sorted(is_there) == [False, True]


async def test_different_keys_do_not_meet(store: Store) -> None:
    outcomes = await together(store, [putting(DATASETS, dataset("a", size=n), keyed(f"k{n}")) for n in range(5)])
    assert sorted(outcome.revision for outcome in outcomes if isinstance(outcome, Written)) == [1, 2, 3, 4, 5]
    assert not any(isinstance(outcome, Written) and outcome.is_replay for outcome in outcomes)


@pytest.mark.parametrize("resource", [DATASETS, CACHE], ids=["datasets", "cache"])
async def test_refused_write_leaves_its_key_unused(store: Store, resource: object) -> None:
    chosen, item = (DATASETS, dataset("a")) if resource is DATASETS else (CACHE, entry("a"))
    with pytest.raises(Refused):
        await store.write(refusing(chosen, "a", keyed("k", b"refused")))
    with pytest.raises(Refused):
        await store.write(refusing(chosen, "a", keyed("k", b"refused")))
    written = await store.write(putting(chosen, item, keyed("k", b"another")))
    assert (written.revision, written.is_replay) == (1, False)


async def test_conflict_leaves_its_key_unused(store: Store) -> None:
    await put(store, USERS, user("a", "Ada"))
    write = putting(USERS, user("b", "Ada"), keyed("k"))
    with pytest.raises(ResourceConflict):
        await store.write(write)
    await remove(store, USERS, "a")
    assert await store.write(write) == Written(3, await store.read(USERS, "b"), is_new=True)


async def test_deletion_by_conditions_is_carried_out_once(filled: Store, other: Store) -> None:
    await put(filled, CACHE, entry("more", tags=["t"]))
    first = await filled.delete_where(CACHE, TAGGED, keyed("k"))
    assert first == Removed(3, 2)
    await put(filled, CACHE, entry("later", tags=["t"]))
    for store in (filled, other):
        assert await store.delete_where(CACHE, TAGGED, keyed("k")) == Removed(3, 2, is_replay=True)
        with pytest.raises(IdempotencyKeyReused):
            await store.delete_where(CACHE, TAGGED, keyed("k", b"another"))
    assert await filled.read(CACHE, "later") is not None


async def test_deletion_of_nothing_is_remembered_too(store: Store) -> None:
    assert await store.delete_where(CACHE, TAGGED, keyed("k")) == Removed(0, 0)
    await put(store, CACHE, entry("later", tags=["t"]))
    assert await store.delete_where(CACHE, TAGGED, keyed("k")) == Removed(0, 0, is_replay=True)
    assert await store.delete_where(CACHE, TAGGED) == Removed(2, 1)


async def test_deletion_by_conditions_by_two_stores_acts_once(filled: Store, other: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.delete_where(CACHE, TAGGED, keyed("k")) for store in (filled, other, filled, other))
    )
    assert sorted(outcomes) == [Removed(2, 1)] + [Removed(2, 1, is_replay=True)] * 3


async def test_forgotten_key_is_free(filled: Store, make_some: MakeWrite) -> None:
    await filled.write(make_some(keyed("k")))
    assert await filled.forget_keys("2000-01-01T00:00:00.000000Z") == 0
    assert (await filled.write(make_some(keyed("k")))).is_replay
    assert await filled.forget_keys("9999") == 1
    assert await filled.forget_keys("9999") == 0
    written = await filled.write(putting(USERS, user("x"), keyed("k", b"another")))
    assert not written.is_replay


async def test_keys_are_forgotten_in_batches_the_oldest_first(store: Store) -> None:
    await store.write_all([putting(DATASETS, dataset("a"), keyed(f"old{n}")) for n in range(1_500)])
    await asyncio.sleep(0.002)
    written = await put(store, DATASETS, dataset("between"))
    change = await store.log.change(written.revision)
    assert change is not None
    await asyncio.sleep(0.002)
    await store.write(putting(DATASETS, dataset("new"), keyed("new")))
    assert [await store.forget_keys(change.time) for _ in range(3)] == [1_000, 500, 0]
    assert (await store.write(putting(DATASETS, dataset("new"), keyed("new")))).is_replay


async def test_compaction_forgets_no_key(filled: Store, make_some: MakeWrite) -> None:
    first = await filled.write(make_some(keyed("k")))
    await put(filled, DATASETS, dataset("old"))
    await filled.log.compact(keep=0)
    assert await filled.write(make_some(keyed("k"))) == replay_of(first)
    assert await head(filled) == (await filled.log.bounds()).floor


async def test_replay_tells_whether_it_was_new_also_of_what_was_created_in_the_same_moment(store: Store) -> None:
    def writes() -> list[Write]:
        """Create, replace, delete and create again: one group, and so one moment."""
        return [
            putting(DATASETS, dataset("a", size=1), keyed("k1")),
            putting(DATASETS, dataset("a", size=2), keyed("k2")),
            patching(DATASETS, "a", keyed("k3"), size=3),
            removing(DATASETS, "a", keyed("k4")),
            putting(DATASETS, dataset("a", size=5), keyed("k5")),
        ]

    first = await store.write_all(writes())
    assert [outcome.is_new for outcome in first if isinstance(outcome, Written)] == [True, False, False, False, True]
    assert await store.write_all(writes()) == [replay_of(outcome) for outcome in first]
    later = await store.write(putting(DATASETS, dataset("a", size=6), keyed("k6")))
    assert not later.is_new
    assert await store.write(putting(DATASETS, dataset("a", size=6), keyed("k6"))) == replay_of(later)


async def test_what_is_brought_back_is_not_new(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    removed = await remove(store, DATASETS, "a")
    back = Revert(removed.revision, "2020-01-01T00:00:00.000000Z")
    for is_replay in (False, True):
        written = await store.write(putting(DATASETS, dataset("a"), keyed("k"), back))
        assert (written.revision, written.is_new, written.is_replay) == (3, False, is_replay)
