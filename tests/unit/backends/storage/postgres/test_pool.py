"""Connections are few and shared: never more than was said, none poisoned, none starved."""

import asyncio
import random
import time
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
import pytest

from sarvanom.backends.storage.postgres.connections import Timeouts, check_url
from sarvanom.backends.storage.postgres.failures import translated
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sql import SQL
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import SETTINGS
from tests.harness.postgres import PostgresDatabases
from tests.unit.backends.storage.postgres.proxy import Proxy
from tests.unit.backends.storage.postgres.things import SHORT, ask, look_up, opened, outcome, put

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sarvanom'"


async def sleep_in(session: Session, seconds: float) -> None:
    await session.execute(f"SELECT pg_sleep({seconds})")


async def most_connections(postgres: PostgresDatabases, database: str, running: asyncio.Task[object]) -> int:
    """Return the largest number of connections that the server counts while something runs."""
    connection = await asyncpg.connect(postgres.url)
    most = 0
    try:
        while not running.done():
            statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
            most = max(most, await connection.fetchval(statement, urlsplit(database).path[1:]))
    finally:
        await connection.close()
    return most


async def test_the_server_never_counts_more_connections_than_were_allowed(
    database: str, postgres: PostgresDatabases
) -> None:
    """Under load, with reads that are broken off half way, and with connections that the server ends."""

    async def load(store: PostgresStore) -> None:
        async def read() -> None:
            await outcome(store.read(SETTINGS, "key/1"))
            await outcome(store.list(SETTINGS, build_query(SETTINGS)))
            with suppress(TimeoutError):
                async with asyncio.timeout(random.random() * 0.01):
                    await outcome(store._pool.read(lambda session: sleep_in(session, 0.02)))

        for round in range(4):
            writes = [outcome(store.write(put(number))) for number in range(20)]
            await asyncio.gather(*(read() for _ in range(60)), *writes, outcome(store.log.wait(0, 0.1)))
            if round % 2:
                await asyncio.to_thread(postgres.terminate_backends, urlsplit(database).path[1:])

    async with opened(database, connections=7) as (one, _), opened(database, connections=7) as (two, _):
        running: asyncio.Task[object] = asyncio.ensure_future(asyncio.gather(load(one), load(two)))
        most = await most_connections(postgres, database, running)
        await running
        assert 6 < most <= 14
        assert await one.read(SETTINGS, "key/1") is not None


async def test_who_waits_too_long_for_a_connection_is_refused(database: str) -> None:
    async with opened(database, connections=7, timeouts=SHORT) as (store, _):
        holders = [asyncio.create_task(store._pool.read(lambda session: sleep_in(session, 0.55))) for _ in range(3)]
        await asyncio.sleep(0.05)
        found = await asyncio.gather(*(outcome(store.read(SETTINGS, "x")) for _ in range(20)))
        await asyncio.gather(*holders)
        assert all(isinstance(error, ServiceUnavailable) and 0.3 < took < 0.8 for error, took in found)
        assert await store.read(SETTINGS, "x") is None


async def test_slow_lists_leave_connections_to_reads_by_id(database: str) -> None:
    async with opened(database) as (store, _):
        slow = [
            asyncio.create_task(outcome(store._pool.read_slowly(lambda session: sleep_in(session, 20))))
            for _ in range(40)
        ]
        await asyncio.sleep(0.05)
        await asyncio.gather(*(look_up(store, "there") for _ in range(20)))
        assert await store.read(SETTINGS, "x") is None
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_reads_that_are_cancelled_poison_no_connection(database: str) -> None:
    async with opened(database, connections=6) as (store, _):
        await store.write(put("there"))
        for number in range(60):
            task = asyncio.create_task(look_up(store, "there"))
            await asyncio.sleep(number * 0.00005)
            task.cancel()
        found = await asyncio.gather(*(look_up(store, "there") for _ in range(50)))
        assert all(found)
        pids = await ask(database, COUNT)
        assert pids[0][0] <= 6


@pytest.mark.parametrize("statement", ["DISCARD ALL", "DEALLOCATE ALL", "DISCARD PLANS"])
async def test_prepared_statements_that_are_gone_are_prepared_again(store: PostgresStore, statement: str) -> None:
    await store.write(put("there"))
    assert await store.read(SETTINGS, "key/there") is not None
    for session in [*store._pool._idle, store._writers["revision"]._transactor._session]:
        assert session is not None
        await session.execute(statement)
    assert await store.read(SETTINGS, "key/there") is not None
    assert (await store.write(put("there", 2))).revision == 2
    assert len(await store.list(SETTINGS, build_query(SETTINGS))) == 3


async def test_a_change_of_the_schema_that_does_not_concern_us_goes_unnoticed(
    store: PostgresStore, database: str
) -> None:
    await store.write(put("there"))
    await store.read(SETTINGS, "key/there")
    await ask(database, "ALTER TABLE settings ADD COLUMN more TEXT")
    await ask(database, "CREATE INDEX ON settings (revision)")
    assert await store.read(SETTINGS, "key/there") is not None
    await store.write(put("there", 2))


async def test_the_server_ends_statements_that_take_too_long(database: str) -> None:
    async with opened(database, timeouts=Timeouts(statement=0.3)) as (store, _):
        error, took = await outcome(store._pool.read(lambda session: sleep_in(session, 5)))
        assert isinstance(error, ServiceUnavailable)
        assert "too busy" in error.detail
        assert took < 0.6
        [row] = await store._pool.fetch(show("statement_timeout"), {})
        assert row[0] == "300ms"
        [row] = await store._pool.fetch(show("synchronous_commit"), {})
        assert row[0] == "on"


def show(name: str) -> SQL:
    return SQL(f"SHOW {name}", ())


async def test_the_client_ends_statements_that_the_server_does_not(network: Proxy) -> None:
    async with opened(network.url, timeouts=SHORT) as (store, _):
        await store.write(put("there"))
        network.is_silent = True
        error, took = await outcome(store.read(SETTINGS, "key/there"))
        assert isinstance(error, ServiceUnavailable)
        assert error.detail == "The database does not answer"
        assert 1 < took < 1.6
        network.is_silent = False


async def test_a_store_that_is_closed_refuses(database: str) -> None:
    async with opened(database) as (store, _):
        await store.write(put("there"))
        await store.aclose()
        assert isinstance((await outcome(store.read(SETTINGS, "x")))[0], ServiceUnavailable)
        assert isinstance((await outcome(store.write(put("x"))))[0], ServiceUnavailable)
        await store.aclose()
    deadline = time.monotonic() + 5
    while (await ask(database, COUNT))[0][0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_too_few_connections_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        PostgresStore("postgresql://a@b/c", connections=4)


@pytest.mark.parametrize("url", ["postgresql://u:se/cret@h/db", "postgresql://u:p@[h/db", "mysql://u:secret@h/db"])
def test_a_url_that_cannot_be_read_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as raised:
        check_url(url)
    assert "se/cret" not in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_defect_is_logged_by_its_name_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert "secret" not in translated(asyncpg.UndefinedTableError('relation "secret" does not exist')).detail
    assert "secret" not in capsys.readouterr().out
    assert isinstance(translated(asyncpg.UndefinedTableError("x")), ServiceUnavailable)
