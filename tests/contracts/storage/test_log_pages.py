"""Reading the log: pages from a revision on, filtered, bounded in number, in bytes and in what they look through."""

import asyncio
from dataclasses import replace

import pytest

from sarvanom.backends.storage import log as log_module
from sarvanom.backends.storage.contract import Store, Written
from sarvanom.backends.storage.log import Change
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.errors import RevisionCompacted, ValidationFailed
from sarvanom.shared.resources import CACHE, DATASETS, USERS
from tests.contracts.storage.writing import all_changes, dataset, entry, put, putting, remove, user

SERVICES = ("one", "two", "three")


async def fill(store: Store) -> list[Change]:
    """Make thirty changes of two collections, moving resources between three services, and return them."""
    await store.write_all(
        [
            write
            for number in range(10)
            for write in (
                putting(DATASETS, dataset(f"d{number % 3}", service=SERVICES[number % 3])),
                putting(USERS, user(f"u{number}")),
                putting(DATASETS, dataset(f"d{number % 3}", service=SERVICES[number % 2])),
                putting(CACHE, entry(f"c{number}")),
            )
        ]
    )
    return await all_changes(store)


async def walk(store: Store, query: ChangeQuery) -> list[Change]:
    """Read page after page until everything has been seen."""
    found: list[Change] = []
    since = query.since or 0
    while True:
        page = await store.log.page(replace(query, since=since))
        assert len(page.changes) <= query.limit
        assert all(since < change.revision <= page.until for change in page.changes)
        found += page.changes
        if page.until == page.bounds.head:
            return found
        assert page.until > since
        since = page.until


async def test_page_begins_after_a_revision_and_ends_at_the_newest(store: Store) -> None:
    changes = await fill(store)
    for since in range(31):
        page = await store.log.page(ChangeQuery(since))
        assert page.changes == changes[since:]
        assert (page.until, page.bounds) == (30, LogBounds(0, 30))


async def test_page_without_a_beginning_starts_at_the_floor(store: Store) -> None:
    changes = await fill(store)
    assert (await store.log.page(ChangeQuery())).changes == changes
    await store.log.compact(keep=10)
    assert (await store.log.page(ChangeQuery())).changes == changes[20:]


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 31])
async def test_pages_of_any_size_hold_everything_once_in_order(store: Store, limit: int) -> None:
    changes = await fill(store)
    assert await walk(store, ChangeQuery(limit=limit)) == changes
    page = await store.log.page(ChangeQuery(since=0, limit=limit))
    assert page.until == min(limit, 30)


@pytest.mark.parametrize("window", [1, 4, 10_000])
@pytest.mark.parametrize("limit", [2, 100])
async def test_filters_select_what_matches_through_windows_of_any_size(
    store: Store, monkeypatch: pytest.MonkeyPatch, window: int, limit: int
) -> None:
    changes = await fill(store)
    monkeypatch.setattr(log_module, "WINDOW", window)

    async def ask(collection: str | None, id: str | None, service: str | None) -> list[Change]:
        return await walk(
            store, ChangeQuery(0, collection, id, None if service is None else frozenset({service}), limit)
        )

    assert await ask("users", None, None) == [c for c in changes if c.collection == "users"]
    assert await ask("datasets", "d1", None) == [c for c in changes if c.id == "d1"]
    assert await ask("users", "d1", None) == []
    for service in (*SERVICES, "nobody"):
        theirs = [c for c in changes if service in (c.service, c.left_service)]
        assert await ask(None, None, service) == theirs
        assert await ask("datasets", None, service) == [c for c in theirs if c.collection == "datasets"]
        assert await ask("datasets", "d0", service) == [c for c in theirs if c.id == "d0"]
    several = ChangeQuery(0, services=frozenset({"one", "two"}), collections=frozenset({"datasets", "models"}))
    theirs = [c for c in changes if {"one", "two"} & {c.service, c.left_service} and c.collection == "datasets"]
    assert await walk(store, replace(several, limit=limit)) == theirs
    for nothing in (ChangeQuery(0, services=frozenset()), ChangeQuery(0, collections=frozenset())):
        assert await walk(store, replace(nothing, limit=limit)) == []


async def test_page_looks_through_one_window_and_says_how_far(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(store)
    monkeypatch.setattr(log_module, "WINDOW", 4)
    page = await store.log.page(ChangeQuery(since=3, collection="settings"))
    assert (page.changes, page.until) == ([], 7)
    page = await store.log.page(ChangeQuery(since=28))
    assert (len(page.changes), page.until) == (2, 30)


async def test_history_of_one_resource_needs_no_window(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = await fill(store)
    monkeypatch.setattr(log_module, "WINDOW", 2)
    page = await store.log.page(ChangeQuery(since=0, collection="datasets", id="d2"))
    assert page.changes == [change for change in changes if change.id == "d2"]
    assert page.until == 30


async def test_service_sees_a_resource_leave(store: Store) -> None:
    for service in ("mine", "yours", "yours"):
        await put(store, DATASETS, dataset("a", service=service))
    await remove(store, DATASETS, "a")
    mine = await all_changes(store, ChangeQuery(services=frozenset({"mine"})))
    yours = await all_changes(store, ChangeQuery(services=frozenset({"yours"})))
    assert [change.revision for change in mine] == [1, 2]
    assert [change.revision for change in yours] == [2, 3, 4]


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
async def test_pages_of_any_number_of_bytes_hold_everything_once_in_order(store: Store, limit: int) -> None:
    for size in (0, 300, 2000, 10, 10, 900):
        await put(store, DATASETS, dataset("a", description="x" * size))
    await remove(store, DATASETS, "a")
    changes = await all_changes(store)
    sizes = [len(change.body or b"") for change in changes]
    for max_bytes in {1, *(sum(sizes[:end]) + one for end in range(1, 8) for one in (-1, 0, 1))}:
        since = 0
        while since < 7:
            fitting = [
                end for end in range(since + 1, 8) if sum(sizes[since:end]) <= max_bytes and end - since <= limit
            ]
            end = max(fitting, default=since + 1)
            page = await store.log.page(ChangeQuery(since, limit=limit), max_bytes)
            assert (page.changes, page.until) == (changes[since:end], end)
            since = end


async def test_revision_that_is_compacted_is_gone_and_says_what_is_held(store: Store) -> None:
    await fill(store)
    await store.log.compact(keep=10)
    for query in (ChangeQuery(19), ChangeQuery(0, "datasets", "d1"), ChangeQuery(since=0, services=frozenset({"one"}))):
        with pytest.raises(RevisionCompacted) as caught:
            await store.log.page(query)
        assert caught.value.headers["SarvanOM-Oldest-Revision"] == "20"
    assert (await store.log.page(ChangeQuery(20))).bounds == LogBounds(20, 30)


@pytest.mark.parametrize("query", [ChangeQuery(31), ChangeQuery(31, "datasets", "d1"), ChangeQuery(2**62)])
async def test_revision_that_is_still_to_come_is_refused(store: Store, query: ChangeQuery) -> None:
    await fill(store)
    with pytest.raises(ValidationFailed) as caught:
        await store.log.page(query)
    assert [error.field for error in caught.value.errors] == ["since"]


async def test_pages_read_during_writes_have_no_gaps(store: Store, other: Store) -> None:
    async def write(writer: Store) -> None:
        for number in range(60):
            await writer.write(putting(DATASETS, dataset(f"d{number % 4}", size=number)))

    async def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < 120:
            page = await store.log.page(ChangeQuery(since=len(seen), limit=7))
            seen += [change.revision for change in page.changes]
            await asyncio.sleep(0)
        return seen

    seen, _, _ = await asyncio.gather(follow(), write(store), write(other))
    assert seen == [*range(1, 121)]


async def test_written_change_is_in_the_log_when_the_write_returns(store: Store, other: Store) -> None:
    for number in range(10):
        written = await put(store, DATASETS, dataset("a", size=number))
        assert isinstance(written, Written)
        for reader in (store, other):
            change = await reader.log.change(written.revision)
            assert change is not None
            assert written.document is not None
            assert change.body == written.document.body
