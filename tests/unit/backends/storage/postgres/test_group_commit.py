"""Writes that share a transaction: each has its own outcome, whatever its neighbours and other transactions do."""

import asyncio
import random
import time
from contextlib import AsyncExitStack

import pytest

from sarvanom.backends.storage.contract import Write, Written
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.errors import InternalError, ResourceConflict, ResourceNotFound, SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import CacheEntry, Dataset, ModelConfiguration
from sarvanom.shared.resources import SETTINGS, USERS
from tests.unit.backends.storage.postgres.proxy import Proxy
from tests.unit.backends.storage.postgres.things import (
    SHORT,
    ask,
    foreign_transaction,
    is_written,
    opened,
    outcome,
    put,
    revisions,
    setting,
    user,
)


async def in_one_group(service: StoredCRUDService, *actions: object) -> list[object]:
    """Start actions so that they share a transaction, in this order."""
    first = asyncio.create_task(service.settings.create(setting(f"first/{random.random()}")))
    await asyncio.sleep(0)
    found = await asyncio.gather(*(outcome(action) for action in actions))  # type: ignore[arg-type]
    await first
    return [result for result, _ in found]


async def test_a_unique_value_is_handed_on_inside_a_group(service: StoredCRUDService) -> None:
    users = service.users
    await users.create(user("a", "one"))
    await users.create(user("b", "two"))
    found = await in_one_group(
        service,
        users.patch("a", {"email": "spare@example.org"}),
        users.patch("b", {"email": "one@example.org"}),
        users.patch("a", {"email": "two@example.org"}),
    )
    assert not [error for error in found if isinstance(error, SarvanOMError)]
    assert [(await users.get(id)).email for id in "ab"] == ["two@example.org", "one@example.org"]


async def test_a_unique_value_that_is_given_up_later_in_the_group_is_refused(service: StoredCRUDService) -> None:
    users = service.users
    await users.create(user("a", "one"))
    await users.create(user("b", "two"))
    found = await in_one_group(
        service,
        users.patch("b", {"email": "one@example.org"}),
        users.patch("a", {"email": "spare@example.org"}),
        users.create(user("c", "two")),
        users.delete("b"),
        users.create(user("d", "two")),
        users.create(user("b", "one")),
        users.patch("nobody", {"email": "x@example.org"}),
    )
    kinds = [type(result).__name__ for result in found]
    assert kinds == [
        "ResourceConflict",
        "UserProfile",
        "ResourceConflict",
        "NoneType",
        *["UserProfile"] * 2,
        *kinds[6:],
    ]
    assert isinstance(found[6], ResourceNotFound)


async def test_a_group_of_several_collections_stores_all_of_them(service: StoredCRUDService, database: str) -> None:
    await service.settings.create(setting("old"))
    await service.users.create(user("old", "old"))
    found = await in_one_group(
        service,
        service.models.create(ModelConfiguration(model_name="m", provider="p")),
        service.users.delete("old"),
        service.users.create(user("new", "old")),
        service.settings.patch("key/old", {"setting_value": 2}),
        service.settings.delete("key/old"),
        service.datasets.create(Dataset(dataset_id="d", name="d")),
    )
    assert not [error for error in found if isinstance(error, SarvanOMError)]
    tables = [f"(SELECT count(*) FROM {name})" for name in ("models", "users", "settings", "datasets")]
    [counts] = await ask(database, f"SELECT {', '.join(tables)}")
    assert tuple(counts) == (1, 1, 1, 1)
    assert (await service.users.get("new")).email == "old@example.org"
    assert await revisions(database) == list(range(1, 10))
    assert len(await ask(database, "SELECT DISTINCT xmin::text FROM changes WHERE revision > 2")) == 1


async def test_random_moves_of_unique_values_end_as_they_would_one_by_one(service: StoredCRUDService) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    chosen = random.Random(seed)
    emails: dict[str, str] = {}
    for _ in range(10):
        moves = [(chosen.choice("abcde"), chosen.choice("vwxyz")) for _ in range(30)]
        expected = []
        for id, email in moves:
            is_free = all(holder == id for holder, held in emails.items() if held == email)
            expected.append(is_free)
            if is_free:
                emails[id] = email
        actions = [service.store.write(put_user(id, email)) for id, email in moves]
        found = await in_one_group(service, *actions)
        assert [not isinstance(result, ResourceConflict) for result in found] == expected
    stored = {item.user_id: item.email.partition("@")[0] for item in (await service.users.list()).items}
    assert stored == emails


def put_user(id: str, email: str) -> Write:
    item = user(id, email)
    return Write(USERS, id, lambda _: item, item)


async def test_two_thousand_writes_from_two_stores_take_all_revisions_in_order(database: str) -> None:
    async with opened(database) as (one, _), opened(database) as (two, _):
        found = await asyncio.gather(*((one, two)[number % 2].write(put(number)) for number in range(2000)))
        assert sorted(written.revision for written in found) == list(range(1, 2001))
        head = (await two.log.bounds()).head
    assert head == 2000
    assert await revisions(database) == list(range(1, 2001))
    times = [row[0] for row in await ask(database, "SELECT xmin::text FROM changes ORDER BY revision")]
    assert len(set(times)) < 400, "they shared transactions"


async def test_a_foreign_transaction_on_the_counters_ends_in_a_refusal_and_leaves_no_trace(database: str) -> None:
    async with opened(database, timeouts=SHORT) as (store, _):
        await store.write(put("first"))
        lock = "SELECT 1 FROM counters WHERE name = 'revision' FOR UPDATE"
        async with foreign_transaction(database, lock):
            found = await asyncio.gather(*(outcome(store.write(put(number))) for number in range(50)))
            assert all(isinstance(error, ServiceUnavailable) for error, _ in found)
            assert max(took for _, took in found) < 2
            assert await store.read(SETTINGS, "key/first") is not None
        assert (await store.write(put("second"))).revision == 2


async def test_writes_that_come_while_the_sequence_is_waited_for_share_its_transaction(database: str) -> None:
    async with opened(database) as (store, _):
        await store.write(put("before"))
        async with foreign_transaction(database, "SELECT 1 FROM counters WHERE name = 'revision' FOR UPDATE"):
            writing = [asyncio.create_task(store.write(put("first")))]
            await asyncio.sleep(0.1)
            writing += [asyncio.create_task(store.write(put(number))) for number in range(10)]
            await asyncio.sleep(0.1)
        found = await asyncio.gather(*writing)
        assert [written.revision for written in found] == list(range(2, 13))
    assert len(await ask(database, "SELECT DISTINCT xmin::text FROM changes WHERE revision > 1")) == 1


async def test_who_comes_while_the_sequence_is_waited_for_in_vain_has_a_try_of_its_own(database: str) -> None:
    async with opened(database, timeouts=SHORT) as (store, _):
        await store.write(put("before"))
        async with foreign_transaction(database, "SELECT 1 FROM counters WHERE name = 'revision' FOR UPDATE"):
            first = asyncio.create_task(outcome(store.write(put("first"))))
            await asyncio.sleep(SHORT.lock / 2)
            second = asyncio.create_task(store.write(put("second")))
            assert isinstance((await first)[0], ServiceUnavailable)
            assert not second.done()
        assert (await second).revision == 2


async def test_a_transaction_that_follows_at_once_is_begun_by_the_commit_before(network: Proxy, database: str) -> None:
    in_transaction = "datname = current_database() AND state LIKE 'idle in transaction%'"
    async with opened(network.url) as (store, _):
        await store.write(put("before"))
        network.asked.clear()
        await asyncio.gather(*(store.write(put(number)) for number in range(600)))  # a transaction takes 256
        sent = [network.asked.count(message) for message in (b"BEGIN\0", b"COMMIT AND CHAIN\0", b"COMMIT\0")]
        assert sent == [1, 2, 1]
        assert await ask(database, f"SELECT 1 FROM pg_stat_activity WHERE {in_transaction}") == []
    assert await revisions(database) == list(range(1, 602))


async def test_a_connection_that_is_lost_behind_a_commit_that_chains_takes_its_transaction_along(
    network: Proxy, database: str
) -> None:
    async with opened(network.url) as (store, _):
        transactor = store._writers["revision"]._transactor
        commit = transactor._commit
        lost: list[Session] = []

        async def commit_and_lose(session: Session) -> None:
            await commit(session)
            if session.has_begun and not lost:
                network.asked.clear()
                lost.append(session)
                session.drop()

        transactor._commit = commit_and_lose  # type: ignore[method-assign]
        found = await asyncio.gather(*(store.write(put(number)) for number in range(600)))
        assert lost
        assert network.asked.count(b"BEGIN\0") == 1
        assert [written.revision for written in found] == list(range(1, 601))
    assert await revisions(database) == list(range(1, 601))


async def test_a_transaction_that_was_begun_by_a_commit_and_fails_is_ended(network: Proxy, database: str) -> None:
    async with opened(network.url, timeouts=SHORT) as (store, _):
        transactor = store._writers["revision"]._transactor
        commit, lock = transactor._commit, "SELECT 1 FROM counters WHERE name = 'revision' FOR UPDATE"
        async with AsyncExitStack() as stack:

            async def commit_and_be_overtaken(session: Session) -> None:
                await commit(session)
                if session.has_begun:
                    await stack.enter_async_context(foreign_transaction(database, lock))

            transactor._commit = commit_and_be_overtaken  # type: ignore[method-assign]
            found = await asyncio.gather(*(outcome(store.write(put(number))) for number in range(300)))
        assert [is_written(written) for written, _ in found] == [True] * 256 + [False] * 44
        network.asked.clear()
        assert (await store.write(put("next"))).revision == 257
        assert network.asked.count(b"BEGIN\0") == 1


async def test_what_nobody_has_foreseen_fails_those_who_wait_and_nobody_else(store: PostgresStore) -> None:
    transactor = store._writers["revision"]._transactor
    run = transactor.run

    async def break_down(work: object) -> None:
        transactor.run = run  # type: ignore[method-assign]
        raise RuntimeError("nobody has foreseen this")

    transactor.run = break_down  # type: ignore[method-assign,assignment]
    found = await asyncio.gather(*(store.write(put(number)) for number in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [RuntimeError] * 3
    assert (await store.write(put("next"))).revision == 1


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_commit_that_chains_and_is_not_answered_is_told_from_its_traces(
    network: Proxy, database: str, carried_out: bool
) -> None:
    async with opened(network.url) as (store, _):
        await store.write(put("before"))
        if carried_out:
            network.lose_answer_to = b"COMMIT AND CHAIN\0"
        else:
            network.lose = b"COMMIT AND CHAIN\0"
        found = await asyncio.gather(*(outcome(store.write(put(number))) for number in range(300)))
        lost = [error for error, _ in found if isinstance(error, ServiceUnavailable)]
        assert len(lost) == (0 if carried_out else 256)
        assert all(is_written(written) for written, _ in found[256:])
    assert await revisions(database) == list(range(1, 302 - len(lost)))


async def test_a_foreign_transaction_on_a_row_ends_in_a_refusal(database: str) -> None:
    async with opened(database, timeouts=SHORT) as (store, _):
        await store.write(put("held"))
        async with foreign_transaction(database, "SELECT 1 FROM settings FOR UPDATE"):
            assert isinstance((await outcome(store.write(put("held", 2))))[0], ServiceUnavailable)
        assert (await store.write(put("held", 3))).revision == 2


async def test_a_deadlock_is_run_again(database: str) -> None:
    """A foreign transaction that locks rows and then wants the counters: it, or we, must give way."""
    async with opened(database) as (store, _):
        await store.write(put("held"))
        async with foreign_transaction(database, "SET deadlock_timeout = '10s'", "SELECT 1 FROM settings FOR UPDATE"):
            writing = asyncio.create_task(store.write(put("held", 2)))
            await asyncio.sleep(0.2)
            assert not writing.done()
        assert (await writing).revision == 2


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_serialisation_failures_are_run_again(store: PostgresStore, database: str, sqlstate: str) -> None:
    await ask(database, "CREATE SEQUENCE failures")
    body = f"IF nextval('failures') < 4 THEN RAISE EXCEPTION SQLSTATE '{sqlstate}'; END IF; RETURN NEW;"
    await ask(database, f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    await ask(database, "CREATE TRIGGER fail BEFORE INSERT ON settings FOR EACH STATEMENT EXECUTE FUNCTION fail()")
    found = await asyncio.gather(*(store.write(put(number)) for number in range(10)))
    assert sorted(written.revision for written in found) == list(range(1, 11))
    await ask(database, "ALTER SEQUENCE failures RESTART")
    await ask(database, "ALTER SEQUENCE failures INCREMENT -1 MINVALUE -1000")
    assert isinstance((await outcome(store.write(put("never"))))[0], ServiceUnavailable)
    await ask(database, "DROP TRIGGER fail ON settings")
    assert (await store.write(put("last"))).revision == 11


async def test_a_transaction_that_stands_still_does_not_hold_up_others_for_long(database: str) -> None:
    """A crud process that hangs, or whose network is gone, amid its transaction: the server ends it."""
    async with opened(database, timeouts=SHORT) as (store, _):
        hung = await store._pool._connector.connect()
        await hung.execute("SET idle_in_transaction_session_timeout = '300ms'; BEGIN")
        await hung.execute("SELECT 1 FROM counters FOR UPDATE")
        assert (await store.write(put("through"))).revision == 1
        assert float(store._pool._connector.timeouts.idle) <= 5
        hung.drop()


async def test_a_group_with_a_document_of_thirty_megabytes_is_carried_out(store: PostgresStore) -> None:
    large = "x" * (30 * 2**20)
    found = await asyncio.gather(*(store.write(put(number, large if number == 2 else number)) for number in range(6)))
    assert sorted(written.revision for written in found) == list(range(1, 7))
    document = await store.read(SETTINGS, "key/2")
    assert document is not None
    assert len(document.body) > len(large)


async def test_a_caller_that_is_cancelled_does_not_disturb_its_group(store: PostgresStore, database: str) -> None:
    tasks = [asyncio.create_task(store.write(put(number))) for number in range(100)]
    await asyncio.sleep(0.002)
    for task in tasks[::3]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    kept = [written for index, written in enumerate(found) if index % 3]
    assert all(isinstance(written, Written) for written in kept)
    assert await revisions(database) == list(range(1, 101))


async def test_a_cancelled_deletion_is_carried_out_and_leaves_the_writer_in_order(service: StoredCRUDService) -> None:
    await service.cache.create(CacheEntry(key="entry", value=1))
    task = asyncio.create_task(service.cache.invalidate(service="default"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await service.cache.create(CacheEntry(key="other", value=1))
    assert [item.key for item in (await service.cache.list()).items] == ["other"]


async def test_a_write_that_decides_differently_each_time_is_a_defect_and_no_endless_loop(store: PostgresStore) -> None:
    numbers = iter(range(100))
    write = Write(USERS, "u", lambda _: user("u", f"email{next(numbers)}"))
    async with asyncio.timeout(5):
        assert isinstance((await outcome(store.write(write)))[0], InternalError)


async def test_a_lone_write_waits_for_no_company(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer stands between a lone write and its commit."""
    await store.write(put("first"))
    slept: list[float] = []
    monkeypatch.setattr(asyncio, "sleep", slept.append)
    times = []
    for number in range(50):
        began = time.perf_counter()
        await store.write(put(number))
        times.append(time.perf_counter() - began)
    assert not slept
    assert sorted(times)[25] < 0.05


async def test_an_expired_entry_counts_as_expired_once(service: StoredCRUDService, database: str) -> None:
    await service.cache.create(CacheEntry(key="entry", value=1, ttl=60))
    await ask(database, "UPDATE cache SET expires_at = 1")
    await in_one_group(service, service.cache.create(CacheEntry(key="a", value=1)), service.cache.delete("entry"))
    await service.cache.create(CacheEntry(key="entry", value=2, ttl=60))
    assert (await service.cache.stats()).expirations == 1
