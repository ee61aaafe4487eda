"""Many writes at once: each has its own outcome, later ones see earlier ones, and no refusal touches a neighbour."""

import asyncio
from typing import Any

import pytest

from sarvanom.backends.storage.contract import Document, Store, Write, Written
from sarvanom.shared.errors import PayloadTooLarge, ResourceConflict, SarvanOMError
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, USERS, Resource
from tests.contracts.storage.writing import (
    Refused,
    all_changes,
    dataset,
    entry,
    head,
    patching,
    put,
    putting,
    refusing,
    removing,
    together,
    told,
    user,
)


async def names(store: Store) -> dict[str, str]:
    """Return the user name of every user."""
    page = await store.list(USERS, parse_query(USERS, b"limit=1000"))
    users = [UserProfile.model_validate_json(body) for body in page.bodies]
    return {user.user_id: user.username for user in users}


async def test_no_writes_have_no_outcomes(store: Store) -> None:
    assert await store.write_all([]) == []


async def test_outcomes_come_in_the_order_of_the_writes(store: Store) -> None:
    outcomes = await store.write_all(
        [
            putting(DATASETS, dataset("a")),
            putting(CACHE, entry("a")),
            refusing(DATASETS, "b"),
            putting(USERS, user("a")),
            refusing(CACHE, "b"),
            putting(USERS, user("b", "A")),
            removing(DATASETS, "a"),
            putting(CACHE, entry("b")),
        ]
    )
    assert [told(one) for one in outcomes] == [1, 1, Refused, 2, Refused, ResourceConflict, 3, 2]
    assert [(change.collection, change.id) for change in await all_changes(store)] == [
        ("datasets", "a"), ("users", "a"), ("datasets", "a"),
    ]  # fmt: skip
    read: list[tuple[Resource[Any], str]] = [(USERS, "a"), (CACHE, "b")]
    for outcome, (resource, id) in zip((outcomes[3], outcomes[7]), read, strict=True):
        assert isinstance(outcome, Written)
        assert outcome.document == await store.read(resource, id)


@pytest.mark.parametrize("resource", [DATASETS, CACHE], ids=["datasets", "cache"])
async def test_later_writes_see_earlier_ones(store: Store, resource: object) -> None:
    chosen, item = (DATASETS, dataset("a")) if resource is DATASETS else (CACHE, entry("a"))
    seen: list[Document | None] = []

    def look(current: Document | None) -> None:
        seen.append(current)
        raise Refused("only looking")

    looking = Write(chosen, "a", look)
    outcomes = await store.write_all(
        [
            looking, putting(chosen, item), looking, patching(chosen, "a", service="s"), looking,
            removing(chosen, "a"), looking, putting(chosen, item), looking,
        ]
    )  # fmt: skip
    documents = [outcome.document for outcome in outcomes if isinstance(outcome, Written)]
    told_last = seen[-5:]
    assert told_last == [None, *documents]
    assert [told(outcome) for outcome in outcomes[1::2]] == [1, 2, 3, 4]


async def test_entry_and_chain_inside_one_group_are_as_if_alone(store: Store) -> None:
    await store.write_all(
        [
            putting(DATASETS, dataset("a")),
            putting(DATASETS, dataset("a", service="s")),
            removing(DATASETS, "a"),
            putting(DATASETS, dataset("a")),
        ]
    )
    chain = [(c.kind, c.previous, c.service, c.left_service) for c in await all_changes(store)]
    assert chain == [
        ("create", None, "default", None),
        ("update", 1, "s", "default"),
        ("delete", 2, "s", None),
        ("create", None, "default", None),
    ]
    assert [change.body is None for change in await all_changes(store)] == [False, False, True, False]


async def test_tags_inside_one_group_are_those_of_the_last_write(store: Store) -> None:
    await store.write_all(
        [
            putting(CACHE, entry("a", tags=["x"])), putting(CACHE, entry("a", tags=["y", "z"])),
            putting(CACHE, entry("b", tags=["x"])), removing(CACHE, "b"),
            putting(CACHE, entry("c", tags=["x"])), removing(CACHE, "c"), putting(CACHE, entry("c", tags=["z"])),
        ]
    )  # fmt: skip
    found = {}
    for tag in "xyz":
        page = await store.list(CACHE, parse_query(CACHE, f"tags__contains={tag}&fields=key".encode()))
        found[tag] = len(page.bodies)
    assert found == {"x": 0, "y": 1, "z": 2}


async def test_refusals_and_conflicts_touch_no_neighbour(store: Store) -> None:
    await put(store, USERS, user("first", "Taken"))
    writes: list[Write] = []
    for number in range(30):
        writes += [
            putting(USERS, user(f"u{number}")),
            putting(USERS, user(f"v{number}", "TAKEN")),
            refusing(USERS, f"u{number}"),
            putting(USERS, user(f"w{number}", f"U{number}")),
            patching(USERS, "first", preferences={"n": number}),
        ]
    outcomes = await store.write_all(writes)
    for start in range(0, len(writes), 5):
        assert [told(outcome) for outcome in outcomes[start : start + 5]] == [
            2 + start // 5 * 2, ResourceConflict, Refused, ResourceConflict, 3 + start // 5 * 2,
        ]  # fmt: skip
    assert await names(store) == {"first": "Taken"} | {f"u{number}": f"u{number}" for number in range(30)}


async def test_conflict_names_its_field(store: Store) -> None:
    await put(store, USERS, user("a"))
    same_name = user("b", "A")
    same_email = UserProfile(user_id="c", username="c", email="A@EXAMPLE.ORG")
    outcomes = await store.write_all([putting(USERS, same_name), putting(USERS, same_email)])
    errors = [outcome.errors for outcome in outcomes if isinstance(outcome, SarvanOMError)]
    assert [[error.field for error in each] for each in errors] == [["username"], ["email"]]


async def test_resource_that_is_too_large_touches_no_neighbour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sarvanom.backends.storage.documents.MAX_DOCUMENT_BYTES", 1_000)
    outcomes = await store.write_all(
        [
            putting(DATASETS, dataset("a")),
            putting(DATASETS, dataset("a", description="x" * 1_000)),
            putting(DATASETS, dataset("b", description="x" * 1_000)),
            putting(DATASETS, dataset("c")),
        ]
    )
    assert [told(outcome) for outcome in outcomes] == [1, PayloadTooLarge, PayloadTooLarge, 2]
    assert await store.read(DATASETS, "b") is None


async def test_thousand_writes_at_once_keep_their_own_outcomes(store: Store, other: Store) -> None:
    writes = [
        patching(DATASETS, "absent") if number % 10 == 3 else putting(DATASETS, dataset(f"d{number}", size=number))
        for number in range(1_000)
    ]
    halves = await asyncio.gather(together(store, writes[0::2]), together(other, writes[1::2]))
    outcomes = [outcome for pair in zip(*halves, strict=True) for outcome in pair]
    revisions = []
    for number, (write, outcome) in enumerate(zip(writes, outcomes, strict=True)):
        if number % 10 == 3:
            assert isinstance(outcome, Refused)
            continue
        assert isinstance(outcome, Written)
        assert outcome.document is not None
        assert outcome.document.id == write.id
        assert f'"size":{number},'.encode() in outcome.document.body
        revisions.append(outcome.revision)
    assert sorted(revisions) == [*range(1, 901)]
    assert await head(store) == 900


async def test_one_resource_written_by_many_at_once_loses_no_change(store: Store, other: Store) -> None:
    await put(store, DATASETS, dataset("a", size=0))

    def decide(current: Document | None) -> object:
        assert current is not None
        item = DATASETS.model.model_validate_json(current.body)
        return item.model_copy(update={"size": (item.size or 0) + 1})

    counting = Write(DATASETS, "a", decide)  # type: ignore[arg-type]
    await asyncio.gather(together(store, [counting] * 100), together(other, [counting] * 100))
    document = await store.read(DATASETS, "a")
    assert document is not None
    assert b'"size":200,' in document.body
    assert document.revision == 201
