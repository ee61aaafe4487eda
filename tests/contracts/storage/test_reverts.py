"""The mechanics of undoing: only the last change of an id can be undone, and what comes back has its old birthday."""

import pytest

from sarvanom.backends.storage.contract import Revert, Store, Write, Written
from sarvanom.backends.storage.log import Change
from sarvanom.shared.errors import RevertConflict
from sarvanom.shared.resources import DATASETS, USERS
from tests.contracts.storage.writing import (
    Refused,
    all_changes,
    dataset,
    head,
    keyed,
    put,
    putting,
    remove,
    removing,
    told,
    user,
)


def undoing(revision: int, id: str) -> Write:
    """Return a deletion that undoes a creation, whatever is stored now."""
    return Write(DATASETS, id, lambda _: None, revert=Revert(revision, None))


async def last_change(store: Store) -> Change:
    return (await all_changes(store))[-1]


async def test_revert_of_a_creation_deletes(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    written = await store.write(removing(DATASETS, "a", revert=Revert(1, None)))
    assert written == Written(2, None)
    change = await last_change(store)
    assert (change.kind, change.reverts, change.previous) == ("delete", 1, 1)
    assert await store.read(DATASETS, "a") is None


async def test_revert_of_a_change_keeps_when_the_resource_was_created(store: Store) -> None:
    first = await put(store, DATASETS, dataset("a", size=1))
    await put(store, DATASETS, dataset("a", size=2))
    assert first.document is not None
    written = await store.write(putting(DATASETS, dataset("a", size=1), revert=Revert(2, first.document.created_at)))
    assert written.document is not None
    assert written.document.created_at == first.document.created_at
    change = await last_change(store)
    assert (change.kind, change.reverts, change.previous) == ("update", 2, 2)


async def test_revert_of_a_deletion_brings_back_when_the_resource_was_created(store: Store) -> None:
    first = await put(store, DATASETS, dataset("a"))
    await remove(store, DATASETS, "a")
    assert first.document is not None
    written = await store.write(putting(DATASETS, dataset("a"), revert=Revert(2, first.document.created_at)))
    assert written.document == await store.read(DATASETS, "a")
    assert written.document is not None
    assert written.document.created_at == first.document.created_at
    assert f'"created_at":"{first.document.created_at}"'.encode() in written.document.body
    change = await last_change(store)
    assert (change.kind, change.reverts, change.previous) == ("create", 2, None)


async def test_revert_of_a_deletion_among_creations_of_one_request_has_its_own_entry(store: Store) -> None:
    first = await put(store, DATASETS, dataset("b"))
    await remove(store, DATASETS, "b")
    assert first.document is not None
    undone = putting(DATASETS, dataset("b"), revert=Revert(2, first.document.created_at))
    outcomes = await store.write_all([putting(DATASETS, dataset("c")), undone, putting(DATASETS, dataset("a"))])
    assert [outcome.revision for outcome in outcomes if isinstance(outcome, Written)] == [3, 4, 5]
    entries = [(change.revision, change.id, change.kind, change.reverts) for change in await all_changes(store)]
    assert entries[2:] == [(3, "c", "create", None), (4, "b", "create", 2), (5, "a", "create", None)]
    back = await store.read(DATASETS, "b")
    assert back is not None
    assert back.created_at == first.document.created_at


@pytest.mark.parametrize("revision", [0, 1, 3, 4, 5, 6])
async def test_only_the_last_change_of_its_id_can_be_undone(store: Store, revision: int) -> None:
    await put(store, DATASETS, dataset("a"))
    await put(store, DATASETS, dataset("a", size=1))
    await put(store, DATASETS, dataset("b"))
    await put(store, USERS, user("a"))
    await put(store, DATASETS, dataset("c"))
    with pytest.raises(RevertConflict):
        await store.write(putting(DATASETS, dataset("a"), revert=Revert(revision, None)))
    assert await head(store) == 5
    assert (await store.write(putting(DATASETS, dataset("a"), revert=Revert(2, None)))).revision == 6


async def test_revert_can_be_undone_and_not_repeated(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    assert (await store.write(removing(DATASETS, "a", revert=Revert(1, None)))).revision == 2
    with pytest.raises(RevertConflict):
        await store.write(undoing(1, "a"))
    assert (await store.write(putting(DATASETS, dataset("a"), revert=Revert(2, None)))).revision == 3


async def test_later_writes_of_a_group_count_as_later_changes(store: Store) -> None:
    await store.write_all([putting(DATASETS, dataset("a")), putting(DATASETS, dataset("b"))])
    outcomes = await store.write_all(
        [
            undoing(1, "a"),
            undoing(1, "a"),
            putting(DATASETS, dataset("b", size=1)),
            removing(DATASETS, "b", revert=Revert(2, None)),
            removing(DATASETS, "b", revert=Revert(4, None)),
            putting(DATASETS, dataset("c")),
            removing(DATASETS, "c", revert=Revert(6, None)),
        ]
    )
    assert [told(one) for one in outcomes] == [3, RevertConflict, 4, RevertConflict, 5, 6, 7]


async def test_decision_may_refuse_a_revert_before_it_is_judged(store: Store) -> None:
    """The judgement names the later change, which not everybody may know of."""
    await put(store, DATASETS, dataset("a"))
    await remove(store, DATASETS, "a")
    with pytest.raises(RevertConflict):
        await store.write(undoing(1, "a"))
    with pytest.raises(Refused):
        await store.write(removing(DATASETS, "a", revert=Revert(1, None)))
    assert await head(store) == 2


async def test_revert_with_a_key_is_carried_out_once(store: Store) -> None:
    first = await put(store, DATASETS, dataset("a"))
    await remove(store, DATASETS, "a")
    assert first.document is not None
    write = putting(DATASETS, dataset("a"), keyed("k"), Revert(2, first.document.created_at))
    written = await store.write(write)
    await remove(store, DATASETS, "a")
    assert await store.write(write) == written._replace(is_replay=True)


async def test_last_change_below_the_floor_can_still_be_built_upon(store: Store) -> None:
    await put(store, DATASETS, dataset("a", size=1))
    await put(store, DATASETS, dataset("b"))
    await store.log.compact(keep=0)
    assert (await store.write(putting(DATASETS, dataset("a"), revert=Revert(1, None)))).revision == 3
