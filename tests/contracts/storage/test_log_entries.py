"""What the log says of every change: revisions without gaps, and entries that tell who, what, when and from what."""

import asyncio
from random import Random

import orjson
import pytest

from sarvanom.backends.storage.contract import Origin, Store, Written
from sarvanom.backends.storage.log import Change
from sarvanom.shared.changes import ChangeKind, LogBounds
from sarvanom.shared.models.crud_models import ModelConfiguration, SystemSetting
from sarvanom.shared.resources import CACHE, DATASETS, MODELS, SETTINGS, USERS
from tests.contracts.storage.writing import (
    Refused,
    all_changes,
    dataset,
    entry,
    head,
    put,
    putting,
    refusing,
    remove,
    removing,
    together,
    user,
)


async def test_empty_store_has_an_empty_log(store: Store) -> None:
    assert await store.log.bounds() == LogBounds(0, 0)
    assert await all_changes(store) == []
    assert await store.log.change(0) is None
    assert await store.log.change(1) is None


async def test_logged_resources_share_one_sequence_without_gaps(store: Store) -> None:
    random = Random(3)
    writes = [
        write
        for number in range(60)
        for write in (
            putting(DATASETS, dataset(f"d{number}")),
            putting(USERS, user(f"u{number}")),
            putting(MODELS, ModelConfiguration(model_name=f"m{number}", provider="p")),
            putting(SETTINGS, SystemSetting(setting_key=f"s{number}", setting_value=number)),
            putting(CACHE, entry(f"c{number}")),
            refusing(DATASETS, f"d{number}"),
            refusing(CACHE, f"c{number}"),
            putting(USERS, user("late", f"u{number}")) if number else refusing(USERS, "late"),
        )
    ]
    random.shuffle(writes)
    outcomes = await together(store, writes)
    logged = [
        outcome.revision
        for write, outcome in zip(writes, outcomes, strict=True)
        if isinstance(outcome, Written) and write.resource.is_logged
    ]
    assert len(logged) >= 240
    assert sorted(logged) == [*range(1, len(logged) + 1)]
    assert [change.revision for change in await all_changes(store)] == sorted(logged)
    assert await store.log.bounds() == LogBounds(0, len(logged))


async def test_cache_has_a_sequence_of_its_own_and_no_entries(store: Store) -> None:
    assert (await put(store, DATASETS, dataset("a"))).revision == 1
    assert [(await put(store, CACHE, entry(key))).revision for key in "abc"] == [1, 2, 3]
    assert (await remove(store, CACHE, "a")).revision == 4
    assert (await put(store, DATASETS, dataset("b"))).revision == 2
    assert [change.collection for change in await all_changes(store)] == ["datasets", "datasets"]


async def test_entry_tells_what_was_done_and_by_whom(store: Store) -> None:
    origin = Origin("request-7", "ada")
    written = await store.write(putting(DATASETS, dataset("a/b", service="chat"), origin))
    document = await store.read(DATASETS, "a/b")
    assert document is not None
    assert await all_changes(store) == [
        Change(
            revision=written.revision,
            collection="datasets",
            id="a/b",
            kind=ChangeKind.CREATE.value,
            service="chat",
            left_service=None,
            actor="ada",
            request_id="request-7",
            time=orjson.loads(document.body)["updated_at"],
            previous=None,
            reverts=None,
            body=document.body,
        )
    ]


@pytest.mark.parametrize("requests", [1, 3])
async def test_entries_of_a_group_tell_who_asked_for_each(store: Store, requests: int) -> None:
    writes = [
        putting(collection, item, Origin(f"request-{number % requests}", "ada" if number % requests else None))
        for number in range(40)
        for collection, item in (
            (DATASETS, dataset(f"d{number * 7 % 40}", service=f"s{number % 2}")),
            (USERS, user(f"u{number}")),
        )
    ]
    outcomes = await store.write_all(writes)
    expected = []
    for write, outcome in zip(writes, outcomes, strict=True):
        assert isinstance(outcome, Written)
        assert outcome.document is not None
        service, origin, document = outcome.document.service, write.origin, outcome.document
        time = orjson.loads(document.body)["updated_at"]
        id, kind = write.id, ChangeKind.CREATE.value
        expected.append(
            Change(
                document.revision, write.resource.collection, id, kind, service, None, origin.actor, origin.request_id,
                time, None, None, document.body,
            )
        )  # fmt: skip
    assert await all_changes(store) == expected


async def test_entries_of_one_resource_form_a_chain(store: Store) -> None:
    await put(store, DATASETS, dataset("other"))
    created = await put(store, DATASETS, dataset("a"))
    await put(store, DATASETS, dataset("other", size=1))
    updated = await put(store, DATASETS, dataset("a", size=1))
    removed = await remove(store, DATASETS, "a")
    chain = [change for change in await all_changes(store) if change.id == "a"]
    assert [(change.kind, change.revision, change.previous) for change in chain] == [
        (ChangeKind.CREATE, created.revision, None),
        (ChangeKind.UPDATE, updated.revision, created.revision),
        (ChangeKind.DELETE, removed.revision, updated.revision),
    ]
    assert created.document is not None
    assert updated.document is not None
    assert [change.body for change in chain] == [created.document.body, updated.document.body, None]


async def test_change_that_leaves_everything_as_it_was_has_an_entry_too(store: Store) -> None:
    for _ in range(2):
        await put(store, DATASETS, dataset("a"))
    assert [(change.kind, change.previous) for change in await all_changes(store)] == [("create", None), ("update", 1)]


async def test_resource_that_moves_names_the_service_that_it_left(store: Store) -> None:
    for service in ("one", "two", "two", "one"):
        await put(store, DATASETS, dataset("a", service=service))
    await remove(store, DATASETS, "a")
    await put(store, DATASETS, dataset("a", service="three"))
    services = [(change.service, change.left_service) for change in await all_changes(store)]
    assert services == [
        ("one", None), ("two", "one"), ("two", None), ("one", "two"), ("one", None), ("three", None),
    ]  # fmt: skip


async def test_re_creation_keeps_histories_apart(store: Store) -> None:
    first = await put(store, DATASETS, dataset("a"))
    await remove(store, DATASETS, "a")
    second = await put(store, DATASETS, dataset("a", size=2))
    assert first.document is not None
    assert second.document is not None
    assert second.document.created_at > first.document.created_at
    changes = await all_changes(store)
    assert [(change.kind, change.previous) for change in changes] == [("create", None), ("delete", 1), ("create", None)]
    bodies = [change and change.body for change in [await store.log.state(DATASETS, "a", n) for n in (0, 1, 2, 3)]]
    assert bodies == [None, first.document.body, None, second.document.body]


async def test_one_id_in_two_collections_has_two_histories(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    await put(store, USERS, user("a"))
    await remove(store, DATASETS, "a")
    assert [(change.collection, change.previous) for change in await all_changes(store)] == [
        ("datasets", None), ("users", None), ("datasets", 1),
    ]  # fmt: skip
    state = await store.log.state(USERS, "a", 3)
    assert state is not None
    assert state.revision == 2


async def test_entry_is_found_by_its_revision(store: Store) -> None:
    for number in range(5):
        await put(store, DATASETS, dataset(f"d{number % 2}", size=number))
    changes = await all_changes(store)
    assert [await store.log.change(change.revision) for change in changes] == changes
    assert await store.log.change(6) is None


async def test_refused_and_lost_writes_leave_no_entry(store: Store) -> None:
    await put(store, USERS, user("a", "Ada"))
    outcomes = await together(
        store, [refusing(USERS, "a"), putting(USERS, user("b", "ADA")), removing(USERS, "nobody")]
    )
    assert not any(isinstance(outcome, Written) for outcome in outcomes)
    assert await head(store) == 1
    assert len(await all_changes(store)) == 1


async def test_decision_that_raises_is_the_callers_own_error(store: Store) -> None:
    for write in (refusing(DATASETS, "a"), refusing(CACHE, "a")):
        with pytest.raises(Refused, match="never"):
            await store.write(write)


async def test_two_stores_give_revisions_without_gap_or_repeat(store: Store, other: Store) -> None:
    writes = [putting(DATASETS, dataset(f"d{number % 7}", size=number)) for number in range(80)]
    outcomes = await asyncio.gather(together(store, writes[:40]), together(other, writes[40:]))
    revisions = [outcome.revision for half in outcomes for outcome in half if isinstance(outcome, Written)]
    assert sorted(revisions) == [*range(1, 81)]
    assert await all_changes(store) == await all_changes(other)
