"""Promotion moves everything or nothing, and the file stays as it is to the byte."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from sarvanom.backends.storage.contract import IdempotencyKey, Origin, Revert, Store, Write
from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.promotion import Target
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.promotion import PromotionInDoubt, PromotionRefused, Row, TableCopy
from sarvanom.backends.storage.schema import IncompatibleDatabase
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.promotion import promote
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import RevertConflict, SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import CacheEntry, SystemSetting, UserProfile
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import CACHE, RESOURCES, SETTINGS, USERS, Resource
from tests.unit.backends.storage.postgres.proxy import COMMIT, running_proxy
from tests.unit.backends.storage.postgres.things import ask, opened, outcome, put

TEXTS = ("plain", "NUL \0 inside", "e\u0301\u00e9\U0001f600\ufffd", "'\"\\%_", "x" * 3000)


def random_write(chosen: random.Random, number: int) -> Write:
    """Return a change of one of a few resources, under a key now and then."""
    id, text = f"id{chosen.randrange(6)}", chosen.choice(TEXTS)
    key = IdempotencyKey(f"key {number}", bytes([number % 256])) if chosen.random() < 0.4 else None
    origin = Origin(f"request {number}", chosen.choice([None, "somebody"]), key)
    if chosen.random() < 0.3:
        resource: Resource[Any] = chosen.choice([CACHE, SETTINGS, USERS])
        return Write(resource, id, lambda _: None, origin=origin)
    item: Any
    match chosen.randrange(3):
        case 0:
            ttl = chosen.choice([None, 600])
            item = CacheEntry(key=id, value=text, ttl=ttl, tags=["a", id], service=f"s{number % 2}")
            return Write(CACHE, id, lambda _: item, item, origin)
        case 1:
            item = UserProfile(user_id=id, username=id, email=f"{id}@x.org", preferences={"t": text})
            return Write(USERS, id, lambda _: item, item, origin)
        case _:
            item = SystemSetting(setting_key=id, setting_value={"t": text}, service=f"s{number % 3}")
            return Write(SETTINGS, id, lambda _: item, item, origin)


def refusing_nothing(write: Write) -> Write:
    """Make a deletion of what is not there an error, as the collections do."""

    def decide(current: Any) -> Any:
        if write.item is None and current is None:
            raise ServiceUnavailable("nothing there")
        return write.item

    return Write(write.resource, write.id, decide, write.item, write.origin, write.revert)


async def fill(store: Store, chosen: random.Random, count: int) -> list[Write]:
    """Carry out random changes; return them."""
    writes = [refusing_nothing(random_write(chosen, number)) for number in range(count)]
    await store.write_all(writes)
    head = (await store.log.bounds()).head
    for revision in range(max(1, head - 3), head + 1):
        await revert(store, revision)
    return writes


async def revert(store: Store, revision: int) -> None:
    """Undo a revision, if it is its id's last."""
    change = await store.log.change(revision)
    assert change is not None
    resource = next(one for one in RESOURCES if one.collection == change.collection)
    if change.previous is None:
        return
    before = await store.log.change(change.previous)
    assert before is not None
    assert before.body is not None
    item = resource.model.model_validate_json(before.body)
    write = Write(resource, change.id, lambda _: item, item, Origin("undo"), Revert(revision, None))
    found, _ = await outcome(store.write(write))
    assert not isinstance(found, SarvanOMError) or isinstance(found, RevertConflict)


async def answers(store: Store) -> dict[str, Any]:
    """Return all that a store can be asked."""
    bounds = await store.log.bounds()
    found: dict[str, Any] = {"bounds": bounds, "changes": await store.log.page(ChangeQuery(limit=1000))}
    for resource in RESOURCES:
        found[resource.collection] = await store.list(resource, build_query(resource))
    for revision in range(bounds.floor, bounds.head + 1):
        for number in range(6):
            for resource in (USERS, SETTINGS):
                id = f"id{number}"
                found[f"{resource.collection}/{id}@{revision}"] = await store.log.state(resource, id, revision)
    return found


async def check_promoted(path: Path, url: str, writes: list[Write]) -> None:
    """Compare both stores, what they replay, and what comes next."""
    async with opened(url) as (promoted, _):
        source = SQLiteStore(path)
        try:
            assert await answers(source) == await answers(promoted)
            for write in writes:
                if write.origin.key is not None:
                    ours, theirs = [(await outcome(store.write(write)))[0] for store in (source, promoted)]
                    if isinstance(ours, SarvanOMError):
                        assert type(theirs) is type(ours)
                    elif ours.is_replay:
                        assert ours == theirs
            head = (await promoted.log.bounds()).head
            assert (await promoted.write(put("next", 1, "a new key"))).revision == head + 1
        finally:
            await source.aclose()


async def made(path: Path, count: int = 120, seed: int = 7) -> list[Write]:
    store = SQLiteStore(path)
    writes = await fill(store, random.Random(seed), count)
    await store.aclose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE cache SET expires_at = 1 WHERE rowid = (SELECT min(rowid) FROM cache)")
    connection.close()
    return writes


def contents(path: Path) -> dict[str, bytes]:
    """Return the bytes of the file and of its log; what is shared in memory is no part of it."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}


def quiet(_: str, __: int) -> None:
    pass


async def is_empty(url: str) -> bool:
    rows = await ask(url, "SELECT (SELECT sum(value) FROM counters) + (SELECT count(*) FROM changes)")
    return int(rows[0][0]) == 0


async def test_a_promoted_store_answers_as_before_and_goes_on(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "source.db"
    writes = await made(path)
    before = contents(path)
    counts = await promote(path, postgres_database, quiet)
    after = contents(path)
    assert after["source.db"] == before["source.db"]
    assert not after.get("source.db-wal")
    assert counts["changes"] > 50
    await check_promoted(path, postgres_database, writes)
    with pytest.raises(PromotionRefused, match="not empty"):
        await promote(path, postgres_database, quiet)


async def test_random_small_stores_round_trip(tmp_path: Path, postgres_database: str) -> None:
    for round in range(4):
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
        path = tmp_path / f"{round}.db"
        writes = await made(path, random.Random(seed).randrange(30), seed)
        if round:
            tables = "users, models, datasets, settings, cache, cache_tags, changes, idempotency_keys"
            await ask(postgres_database, f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
            await ask(postgres_database, "UPDATE counters SET value = 0")
        await promote(path, postgres_database, quiet)
        await check_promoted(path, postgres_database, writes)


@pytest.mark.parametrize("way", ["cut", "cancel"])
async def test_what_is_interrupted_has_not_begun_and_can_be_run_again(
    tmp_path: Path, postgres_database: str, way: str
) -> None:
    path = tmp_path / "source.db"
    await made(path)
    before = contents(path)
    async with running_proxy(postgres_database) as network:
        tables: list[str] = []

        def interrupt(table: str, _: int) -> None:
            tables.append(table)
            if len(tables) == 4:
                network.cut() if way == "cut" else task.cancel()

        task = asyncio.create_task(promote(path, network.url, interrupt))
        with pytest.raises(ServiceUnavailable if way == "cut" else asyncio.CancelledError):
            await task
        assert await is_empty(postgres_database)
        assert contents(path)["source.db"] == before["source.db"]
        assert await promote(path, network.url, quiet)


async def test_a_commit_without_an_answer_is_told_as_what_it_is(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "source.db"
    await made(path)
    await migrate(postgres_database)
    async with running_proxy(postgres_database) as network:

        def arm(table: str, _: int) -> None:
            network.lose_answer_to = COMMIT

        with pytest.raises(PromotionInDoubt, match="everything is there, or nothing"):
            await promote(path, network.url, arm)
    with pytest.raises(PromotionRefused, match="not empty"):
        await promote(path, postgres_database, quiet)


async def test_a_row_that_is_changed_on_the_way_is_found(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "source.db"
    await made(path)
    copy = Target.copy

    async def corrupted(self: Target, table: TableCopy, rows: AsyncIterator[Row]) -> None:
        async def changed() -> AsyncIterator[Row]:
            async for row in rows:
                yield (*row[:-1], b"changed") if table.name == "settings" else row

        await copy(self, table, changed())

    monkeypatch.setattr(Target, "copy", corrupted)
    with pytest.raises(PromotionRefused, match="checksum"):
        await promote(path, postgres_database, quiet)
    monkeypatch.undo()
    assert await is_empty(postgres_database)
    assert await promote(path, postgres_database, quiet)


async def test_nobody_writes_to_the_file_meanwhile(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "source.db"
    await made(path)
    writer = apsw.Connection(str(path))
    refused: list[Exception] = []

    def write(_: str, __: int) -> None:
        try:
            writer.execute("UPDATE counters SET value = 1000")
        except apsw.BusyError as error:
            refused.append(error)

    await promote(path, postgres_database, write)
    writer.close()
    assert len(refused) > 5


async def test_a_file_that_is_being_written_to_is_refused(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarvanom.backends.storage.sqlite.promotion._BUSY_TIMEOUT_MS", 100)
    path = tmp_path / "source.db"
    await made(path)
    writer = apsw.Connection(str(path))  # of the same library: locks of one process are one process's own
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(ServiceUnavailable, match="stop SarvanOM first"):
        await promote(path, postgres_database, quiet)
    writer.close()
    assert await is_empty(postgres_database)


async def test_what_is_no_store_is_refused(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "source.db"
    with pytest.raises(IncompatibleDatabase, match="no such file"):
        await promote(path, postgres_database, quiet)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(IncompatibleDatabase, match="not an SQLite database"):
        await promote(path, postgres_database, quiet)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    with pytest.raises(IncompatibleDatabase, match="another program"):
        await promote(path, postgres_database, quiet)


async def test_a_target_that_is_in_use_is_refused(tmp_path: Path, postgres_database: str) -> None:
    path = tmp_path / "source.db"
    await made(path)
    await migrate(postgres_database)
    store = PostgresStore(postgres_database)
    await store.write(put("there"))
    with pytest.raises(PromotionRefused, match="not empty"):
        await promote(path, postgres_database, quiet)
    await store.write(put("there", 2))
    await store.aclose()
