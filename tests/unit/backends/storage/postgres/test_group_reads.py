"""Reads that share a statement: each has its own outcome, and none sees less than was there when it was asked for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio

from sarvanom.backends.storage.contract import Document
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.postgres import reader
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sql import SQL
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.models.crud_models import CacheEntry
from sarvanom.shared.observations import StatementRun, listen
from sarvanom.shared.resources import CACHE, SETTINGS, USERS
from sarvanom.shared.trace_context import RequestNotes, TraceContext, current_notes
from tests.unit.backends.storage.postgres.things import SHORT, opened, outcome, put, user


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The ids of each statement that reads by id."""
    found: list[list[str]] = []
    fetch = Session.fetch

    async def watched(session: Session, sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        if "ids" in values and "most" in values:
            found.append(list(dict.fromkeys(values["ids"])))
        elif set(values) == {"id", "now"}:
            found.append([values["id"]])
        return await fetch(session, sql, values)

    monkeypatch.setattr(Session, "fetch", watched)
    return found


@pytest_asyncio.fixture
async def filled(store: PostgresStore) -> PostgresStore:
    """A store with a few settings, whose connection is there."""
    for number in range(3):
        await store.write(put(number))
    await store.read(SETTINGS, "key/0")
    return store


def ids(*numbers: int) -> list[str]:
    return [f"key/{number}" for number in numbers]


async def test_reads_at_the_same_time_share_a_statement(filled: PostgresStore, groups: list[list[str]]) -> None:
    wanted = ids(0, 1, 7, 2, 1, 0)
    found = await asyncio.gather(*(filled.read(SETTINGS, id) for id in wanted))
    assert [document and document.id for document in found] == ["key/0", "key/1", None, "key/2", "key/1", "key/0"]
    assert groups == [ids(0, 1, 7, 2)]


async def test_a_lone_read_is_sent_at_once(filled: PostgresStore, groups: list[list[str]]) -> None:
    for number in range(3):
        assert await filled.read(SETTINGS, f"key/{number}") is not None
    assert groups == [ids(0), ids(1), ids(2)]


async def test_a_group_is_bounded(filled: PostgresStore, groups: list[list[str]]) -> None:
    found = await asyncio.gather(*(filled.read(SETTINGS, f"key/{number}") for number in range(70)))
    assert [document is not None for document in found] == [True] * 3 + [False] * 67
    assert sorted(len(group) for group in groups) == [6, 32, 32]


async def test_collections_are_read_apart(filled: PostgresStore, service: StoredCRUDService) -> None:
    await service.users.create(user("key", "key"))
    reads = filled.read(USERS, "key"), filled.read(SETTINGS, "key"), filled.read(SETTINGS, "key/0")
    found = await asyncio.gather(*reads)
    assert [document and document.id for document in found] == ["key", None, "key/0"]


async def test_a_read_sees_what_was_committed_before_it(database: str) -> None:
    """One that joined a statement already under way would not."""
    async with opened(database) as (one, _), opened(database) as (other, _):
        await one.write(put("it", 0))
        reading = True

        async def read_on() -> None:
            while reading:
                await asyncio.gather(*(other.read(SETTINGS, "key/it") for _ in range(3)))

        readers = [asyncio.create_task(read_on()) for _ in range(8)]
        for value in range(1, 150):
            written = await one.write(put("it", value))
            document = await other.read(SETTINGS, "key/it")
            assert isinstance(document, Document)
            assert document.revision == written.revision
        reading = False
        await asyncio.gather(*readers)


async def test_who_breaks_off_takes_nobody_along(filled: PostgresStore) -> None:
    reads = [asyncio.create_task(filled.read(SETTINGS, "key/1")) for _ in range(4)]
    await asyncio.sleep(0)
    reads[0].cancel()
    reads[2].cancel()
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [True, False, True, False]
    assert all(isinstance(found[index], Document) for index in (1, 3))


async def test_what_nobody_waits_for_any_more_is_not_read(filled: PostgresStore, groups: list[list[str]]) -> None:
    reads = [asyncio.create_task(filled.read(SETTINGS, id)) for id in ids(0, 1, 2)]
    await asyncio.sleep(0)
    reads[1].cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    alone = asyncio.create_task(filled.read(SETTINGS, "key/0"))
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.sleep(0.05)
    assert groups == [ids(0, 2)]


async def test_long_texts_are_read_alone(filled: PostgresStore, groups: list[list[str]]) -> None:
    """So that the pool bounds how many are in memory at once, and a short one waits for none."""
    for number in (5, 6):
        await filled.write(put(number, "x" * 100_000))
    wanted = ids(0, 5, 1, 6, 9)
    found = await asyncio.gather(*(filled.read(SETTINGS, id) for id in wanted))
    assert [document and len(document.body) > 100_000 for document in found] == [False, True, False, True, None]
    assert [document and document.id for document in found] == [*wanted[:4], None]
    assert groups == [wanted, ids(5), ids(6)]


async def test_one_of_the_long_texts_may_fail(filled: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (5, 6):
        await filled.write(put(number, "x" * 100_000))
    fetch = Session.fetch

    async def fail_one(session: Session, sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        if values.get("id") == "key/5":
            raise TimeoutError
        return await fetch(session, sql, values)

    monkeypatch.setattr(Session, "fetch", fail_one)
    found = await asyncio.gather(*(filled.read(SETTINGS, id) for id in ids(5, 6, 0)), return_exceptions=True)
    assert isinstance(found[0], ServiceUnavailable)
    assert [isinstance(each, Document) for each in found[1:]] == [True, True]


@pytest.mark.parametrize("id", ["a\0b", "a\ud800"])
async def test_an_id_that_cannot_be_stored_fails_nobody(filled: PostgresStore, id: str) -> None:
    found = await asyncio.gather(*(filled.read(SETTINGS, each) for each in ("key/0", id, "key/1")))
    assert [document and document.id for document in found] == ["key/0", None, "key/1"]


async def test_a_group_is_planned_once_however_small_it_is(database: str) -> None:
    async with opened(database) as (store, _):
        for number in range(40):
            await store.write(put(number))
        for size in (1, 2, 3, 5, 8, 12):
            for _ in range(20):
                await asyncio.gather(*(store.read(SETTINGS, f"key/{number}") for number in range(size)))
        [session] = store._pool._idle
        prepared = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
        statement = f"{prepared} WHERE statement LIKE 'SELECT settings.%'"
        plans = await session.fetch(SQL(statement, ()), {})
    # The first five executions of a statement are planned with their values.
    assert sorted(tuple(row) for row in plans) == [(15, 5), (95, 5)]


async def test_nobody_waits_for_a_connection_that_another_group_opens(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database) as (store, _):
        await store.write(put(0))
        await store.read(SETTINGS, "key/0")
        holder = asyncio.create_task(store._pool.read(lambda session: session.execute("SELECT pg_sleep(0.1)")))
        await asyncio.sleep(0.02)
        connect = store._pool._connector.connect

        async def connect_slowly() -> Session:
            await asyncio.sleep(0.5)
            return await connect()

        monkeypatch.setattr(store._pool._connector, "connect", connect_slowly)
        waiting = asyncio.create_task(store.read(SETTINGS, "key/0"))
        await holder
        document, took = await outcome(store.read(SETTINGS, "key/0"))
        assert isinstance(document, Document)
        assert took < 0.2
        assert await waiting == document


async def test_a_store_that_closes_answers_what_was_asked(database: str) -> None:
    async with opened(database) as (store, _):
        await store.write(put(0))
        reads = [asyncio.create_task(outcome(store.read(SETTINGS, "key/0"))) for _ in range(3)]
        await asyncio.sleep(0)
        await store.aclose()
        found = await asyncio.gather(*reads)
    assert all(isinstance(each, Document) for each, _ in found)


async def test_who_waits_hears_of_a_loop_that_ends(filled: PostgresStore) -> None:
    read = asyncio.create_task(outcome(filled.read(SETTINGS, "key/0")))
    await asyncio.sleep(0)
    for task in filled._reader._running:
        task.cancel()
    error, _ = await read
    assert isinstance(error, ServiceUnavailable)
    assert await filled.read(SETTINGS, "key/0") is not None


async def test_each_has_an_error_of_its_own(database: str) -> None:
    async with opened(database, timeouts=SHORT) as (store, _):
        await store.aclose()
        found = await asyncio.gather(*(outcome(store.read(SETTINGS, "x")) for _ in range(3)))
    errors = [error for error, _ in found]
    assert all(isinstance(error, ServiceUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 3


async def test_a_defect_reaches_everybody(filled: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Session, "fetch", fail)
        found = await asyncio.gather(*(filled.read(SETTINGS, "key/1") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 3
    assert await filled.read(SETTINGS, "key/1") is not None


async def test_what_has_expired_is_not_read(
    store: PostgresStore, service: StoredCRUDService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def are_there() -> list[bool]:
        found = await asyncio.gather(*(store.read(CACHE, key) for key in ("brief", "lasting")))
        return [document is not None for document in found]

    await service.cache.create(CacheEntry(key="brief", value=1, ttl=60))
    await service.cache.create(CacheEntry(key="lasting", value=1, ttl=None))
    assert await are_there() == [True, True]
    later = now_ms() + 61_000
    monkeypatch.setattr(reader, "now_ms", lambda: later)
    assert await are_there() == [False, True]
    stats = await store.stats(CACHE)
    assert (stats.hits, stats.misses) == (3, 1)


async def test_each_recorded_request_tells_of_its_own_statements(filled: PostgresStore) -> None:
    """And of no others, also if one that is not recorded came first."""
    await filled.write(put(5, "x" * 100_000))
    told: list[StatementRun] = []
    end = listen(StatementRun, told.append)

    async def read(id: str, trace: str | None) -> None:
        place = None if trace is None else TraceContext(trace, "a" * 16, is_sampled=True)
        current_notes.set(RequestNotes("request", place))
        await filled.read(SETTINGS, id)

    reads = [("key/1", None), ("key/1", "1" * 32), ("key/0", "2" * 32), ("key/5", "3" * 32)]
    try:
        await asyncio.gather(*(asyncio.create_task(read(*each)) for each in reads))
        await asyncio.create_task(read("key/1", None))
        await asyncio.create_task(read("key/1", "4" * 32))
    finally:
        end()
    of_many = [run.span.context.trace_id[0] for run in told if "= ANY" in run.text]
    of_one = [run.span.context.trace_id[0] for run in told if "= ANY" not in run.text]
    assert (sorted(of_many), of_one) == (["1", "2", "3"], ["3", "4"])
    assert len({run.span.context.span_id for run in told}) == len(told)
    assert all(run.error is None and run.span.parent_id == "a" * 16 for run in told)
