"""The store: documents, pages of a bounded size, counters and what has expired."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import apsw
import orjson
import pytest

from sarvanom.backends.storage.contract import Removed, Write, Written
from sarvanom.backends.storage.documents import Moment
from sarvanom.backends.storage.schema import IncompatibleDatabase
from sarvanom.backends.storage.sqlite import reader as reader_module
from sarvanom.backends.storage.sqlite import store as store_module
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.shared.errors import ResourceConflict, ServiceUnavailable
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, USERS
from tests.unit.backends.storage.rows import Refused, dataset, entry, put, putting, refuse, remove
from tests.unit.backends.storage.sqlite.holding import hold


class Clock:
    """What the store takes for the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000_000
        monkeypatch.setattr(store_module, "now_ms", lambda: self.now)
        monkeypatch.setattr(Moment, "now", lambda: Moment("2023-11-14T22:13:20.000000Z", self.now))


def expire(file: Path, where: str = "true") -> None:
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(f"UPDATE cache SET expires_at = 1 WHERE {where}")


@pytest.fixture
async def locked(store: SQLiteStore, file: Path) -> AsyncIterator[apsw.Connection]:
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def test_document_is_the_text_with_the_servers_fields_behind(store: SQLiteStore) -> None:
    written = await put(store, DATASETS, dataset("a/b"))
    document = await store.read(DATASETS, "a/b")
    assert written.document == document
    assert document is not None
    item = orjson.loads(document.body)
    assert [*item][-3:] == ["created_at", "updated_at", "revision"]
    assert (item["created_at"], item["revision"]) == (document.created_at, written.revision)
    assert document.body.startswith(dataset("a/b").to_json()[:-1])


async def test_decision_is_told_what_is_stored(store: SQLiteStore) -> None:
    seen: list[object] = []

    def decide(current: object) -> None:
        seen.append(current)

    written = await put(store, DATASETS, dataset("a"))
    removed = await store.write(Write(DATASETS, "a", decide))
    assert seen == [written.document]
    assert (removed.revision, removed.document) == (2, None)
    assert await store.read(DATASETS, "a") is None


async def test_refused_write_changes_nothing(store: SQLiteStore) -> None:
    with pytest.raises(Refused):
        await store.write(Write(DATASETS, "a", refuse))
    assert (await store.log.bounds()).head == 0


async def test_a_lone_write_goes_before_the_lines_of_an_import_that_wait(store: SQLiteStore) -> None:
    gate, held = await hold(store._writer, is_bulk=True)
    lines = asyncio.ensure_future(store.write_all([putting(DATASETS, dataset(id)) for id in "ab"]))
    await asyncio.sleep(0)
    one = asyncio.ensure_future(put(store, DATASETS, dataset("one")))
    await asyncio.sleep(0)
    gate.set()
    await held
    assert (await one).revision == 1
    assert [outcome.revision for outcome in await lines if isinstance(outcome, Written)] == [2, 3]


@pytest.mark.parametrize(("taken", "field"), [({"username": "ADA"}, "username"), ({"email": "ADA@E.ORG"}, "email")])
async def test_conflict_names_the_field(store: SQLiteStore, taken: dict[str, str], field: str) -> None:
    await put(store, USERS, UserProfile(user_id="1", username="Ada", email="ada@e.org"))
    other = UserProfile.model_validate({"user_id": "2", "username": "Bob", "email": "bob@e.org", **taken})
    with pytest.raises(ResourceConflict) as caught:
        await put(store, USERS, other)
    assert [error.field for error in caught.value.errors] == [field]
    assert (await store.log.bounds()).head == 1


@pytest.mark.parametrize("total", ["true", "false"])
async def test_list_that_takes_too_long_is_given_up(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, total: str
) -> None:
    await asyncio.gather(*(put(store, DATASETS, dataset(f"{number}", size=number)) for number in range(300)))
    query = parse_query(DATASETS, f"include_total={total}&source__prefix=z&skip=1&sort=-size".encode())
    for _ in range(5):  # as many as there are threads, and one more
        with monkeypatch.context() as patched:
            patched.setattr(reader_module, "_QUERY_SECONDS", -1.0)
            patched.setattr(reader_module, "_STEPS_BETWEEN_CHECKS", 200)
            with pytest.raises(ServiceUnavailable, match="too busy"):
                await store.list(DATASETS, query)
        assert (await store.list(DATASETS, query)).bodies == []


async def test_entry_that_is_overwritten_has_its_new_tags_alone(store: SQLiteStore) -> None:
    await put(store, CACHE, entry("a", tags=["old", "both"]))
    await put(store, CACHE, entry("a", tags=["both", "new"]))
    found = {
        tag: len((await store.list(CACHE, parse_query(CACHE, f"tags__contains={tag}".encode()))).bodies)
        for tag in ("old", "both", "new")
    }
    assert found == {"old": 0, "both": 1, "new": 1}


async def test_deletion_by_conditions_takes_one_revision_or_none(store: SQLiteStore) -> None:
    for id in "abc":
        await put(store, CACHE, entry(id, tags=["t"] if id != "c" else []))
    conditions = parse_query(CACHE, b"tags__contains=t").conditions
    assert await store.delete_where(CACHE, conditions) == Removed(4, 2)
    assert await store.delete_where(CACHE, conditions) == Removed(4, 0)


async def test_counters_are_shared_by_all_who_open_the_file(store: SQLiteStore, file: Path) -> None:
    await put(store, CACHE, entry("a"))
    for id in ("a", "b", "a", "c", "d"):
        await store.read(CACHE, id)
    stats = await store.stats(CACHE)
    assert (stats.entries, stats.hits, stats.misses, stats.expirations) == (1, 2, 3, 0)
    other = SQLiteStore(file)
    await other.read(CACHE, "a")
    await other.aclose()
    stats = await store.stats(CACHE)
    assert (stats.hits, stats.misses) == (3, 3)
    document = await store.read(CACHE, "a")
    assert document is not None
    assert stats.bytes == len(document.body)


async def test_counters_outlive_a_store_that_could_not_flush_them(store: SQLiteStore, locked: apsw.Connection) -> None:
    await store.read(CACHE, "nothing")
    with pytest.raises(ServiceUnavailable):
        await store.stats(CACHE)
    locked.execute("ROLLBACK")
    assert (await store.stats(CACHE)).misses == 1


async def test_close_ends_the_writer_even_if_the_file_is_locked(store: SQLiteStore, locked: apsw.Connection) -> None:
    await store.read(CACHE, "nothing")
    with suppress(ServiceUnavailable):
        await store.aclose()
    locked.execute("ROLLBACK")
    await store.aclose()
    with pytest.raises(ServiceUnavailable, match="closing"):
        await put(store, CACHE, entry("late"))


async def test_locked_file_can_still_be_read(store: SQLiteStore, file: Path) -> None:
    await put(store, DATASETS, dataset("a"))
    with closing(apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await store.read(DATASETS, "a") is not None
        assert len((await store.list(DATASETS, parse_query(DATASETS, b"skip=0&sort=name"))).bodies) == 1
        with pytest.raises(ServiceUnavailable):
            await put(store, DATASETS, dataset("b"))
    assert (await put(store, DATASETS, dataset("b"))).revision == 2


async def test_expired_entries_are_reclaimed_in_batches(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "RECLAIM_BATCH", 4)
    for number in range(12):
        await put(store, CACHE, entry(str(number), tags=["t"], ttl=None if number >= 10 else 60))
    assert await store.reclaim() == 0
    expire(file, "expires_at IS NOT NULL")
    assert (await store.stats(CACHE)).entries == 2
    assert [await store.reclaim() for _ in range(4)] == [4, 4, 2, 0]
    stats = await store.stats(CACHE)
    assert (stats.entries, stats.expirations) == (2, 10)
    with closing(apsw.Connection(str(file))) as other:
        assert other.execute("SELECT count(*) FROM cache_tags").get == 2
    assert (await put(store, CACHE, entry("next"))).revision == 13


async def test_expired_entry_is_absent_before_it_is_reclaimed(store: SQLiteStore, file: Path) -> None:
    first = await put(store, CACHE, entry("a", tags=["old"]))
    expire(file)
    assert await store.read(CACHE, "a") is None
    assert (await store.list(CACHE, parse_query(CACHE, b""))).bodies == []
    with pytest.raises(Refused):
        await store.write(Write(CACHE, "a", lambda current: refuse(current) if current is None else None))
    second = await put(store, CACHE, entry("a", tags=["new"]))
    assert second.revision == first.revision + 1
    assert (await store.stats(CACHE)).expirations == 1
    assert (await store.list(CACHE, parse_query(CACHE, b"tags__contains=old"))).bodies == []


async def test_entry_lives_until_its_time_has_come_to_the_millisecond(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, CACHE, entry("a", ttl=7))
    with closing(apsw.Connection(str(file))) as other:
        expires_at: int = other.execute("SELECT expires_at FROM cache").get
    clock = Clock(monkeypatch)
    for clock.now, is_there in ((expires_at - 1, True), (expires_at, False)):
        assert (await store.read(CACHE, "a") is not None) is is_there
        assert len((await store.list(CACHE, parse_query(CACHE, b""))).bodies) == is_there


async def test_close_is_idempotent_and_refuses_what_comes_later(store: SQLiteStore) -> None:
    await store.aclose()
    await store.aclose()
    with pytest.raises(ServiceUnavailable):
        await put(store, DATASETS, dataset("a"))
    with pytest.raises(ServiceUnavailable):
        await remove(store, DATASETS, "a")


def test_file_of_another_program_is_no_store(file: Path) -> None:
    file.write_bytes(b"x" * 5000)
    with pytest.raises(IncompatibleDatabase):
        SQLiteStore(file)
