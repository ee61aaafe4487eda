"""The database goes away in every way there is: errors come soon and say nothing, and service comes back by itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sarvanom.backends.storage.contract import Document
from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import SETTINGS
from tests.harness.postgres import PostgresServer
from tests.unit.backends.storage.postgres.proxy import Proxy
from tests.unit.backends.storage.postgres.things import SHORT, look_up, opened, outcome, put, seconds_until

LIST = build_query(SETTINGS)


@pytest_asyncio.fixture
async def own_database(server: PostgresServer) -> str:
    url = await asyncio.to_thread(server.create_database)
    await migrate(url)
    return url


@pytest_asyncio.fixture
async def busy_store(own_database: str) -> AsyncIterator[PostgresStore]:
    """A store that has been used for a while."""
    async with opened(own_database, timeouts=SHORT) as (store, _):
        await store.write(put("before"))
        await asyncio.gather(*(look_up(store, "before") for _ in range(50)))
        yield store


async def ask_everything(store: PostgresStore) -> list[tuple[Any, float]]:
    return await asyncio.gather(
        *(outcome(store.read(SETTINGS, "key/before")) for _ in range(40)),
        *(outcome(look_up(store, "before")) for _ in range(40)),
        *(outcome(store.write(put(number))) for number in range(10)),
        *(outcome(store.list(SETTINGS, LIST)) for _ in range(20)),
        outcome(store.log.bounds()),
        outcome(store.log.wait(0, 0.5)),
    )


def check_refusals(found: list[tuple[Any, float]], server: PostgresServer, seconds: float) -> None:
    for error, took in found:
        assert isinstance(error, ServiceUnavailable), error
        assert error.headers["Retry-After"] == "1"
        assert took < seconds
        for secret in (server.password, "postgresql://", "SELECT", "127.0.0.1"):
            assert secret not in error.detail


async def resume(store: PostgresStore) -> float:
    """Return how long reads, writes and LISTEN take to work again."""
    async with asyncio.timeout(10):
        took = [
            await seconds_until(lambda: store.read(SETTINGS, "key/before")),
            await seconds_until(lambda: store.write(put("after"))),
        ]
    return sum(took)


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_server_that_is_gone_refuses_at_once_and_service_resumes(
    server: PostgresServer, busy_store: PostgresStore, way: str
) -> None:
    await asyncio.to_thread(server.kill if way == "kill" else lambda: server.stop("immediate"))
    try:
        found = await ask_everything(busy_store)
        check_refusals(found, server, 3)
    finally:
        await asyncio.to_thread(server.start)
    assert await resume(busy_store) < 2
    read = await busy_store.read(SETTINGS, "key/before")
    assert isinstance(read, Document)


def processes(server: PostgresServer) -> list[int]:
    """Return the server's first process and its children."""
    assert server.process is not None
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


async def test_a_server_that_hangs_is_given_up_on_and_service_resumes(
    server: PostgresServer, busy_store: PostgresStore
) -> None:
    pids = processes(server)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        check_refusals(await ask_everything(busy_store), server, 3)
        again = await asyncio.gather(*(outcome(look_up(busy_store, "before")) for _ in range(200)))
        check_refusals(again, server, 2.5)
        assert sorted(took for _, took in again)[100] < 0.5, "most are told at once"
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    assert await resume(busy_store) < 2


async def test_a_network_that_swallows_everything_is_given_up_on_and_service_resumes(
    network: Proxy, database: str
) -> None:
    async with opened(network.url, timeouts=SHORT) as (store, _):
        await store.write(put("before"))
        network.is_silent = True
        for error, took in await ask_everything(store):
            assert isinstance(error, SarvanOMError), error
            assert took < 5
        network.is_silent = False
        assert await resume(store) < 2


async def test_connections_that_are_reset_while_idle_surface_in_no_read_and_no_write(network: Proxy) -> None:
    async with opened(network.url) as (store, _):
        await store.write(put("before"))
        for round in range(5):
            await asyncio.gather(*(look_up(store, "before") for _ in range(50)))
            network.cut()
            found = await asyncio.gather(
                *(look_up(store, "before") for _ in range(50)),
                *(store.read(SETTINGS, "key/before") for _ in range(50)),
                store.list(SETTINGS, LIST),
                store.write(put(round)),
            )
            assert all(found)


async def test_a_listener_hears_again_within_two_seconds_of_an_outage(
    server: PostgresServer, own_database: str
) -> None:
    async with opened(own_database) as (store, _), opened(own_database) as (other, _):
        head = (await other.write(put("first"))).revision
        assert await store.log.wait(0, 5) == head
        await store.log.wait(head, 0.3)  # listens by now
        await asyncio.to_thread(server.stop)
        assert isinstance((await outcome(store.log.wait(head, 0.1)))[0], ServiceUnavailable)
        await asyncio.to_thread(server.start)
        await seconds_until(lambda: store.log.wait(head, 1.5), 2)
        assert await hearing(store, other) < 0.5


async def test_a_listener_that_went_deaf_is_replaced(network: Proxy, database: str) -> None:
    async with opened(network.url, timeouts=SHORT) as (store, _), opened(database) as (other, _):
        head = (await other.write(put("first"))).revision
        assert await store.log.wait(0, 5) == head
        await store.log.wait(head, 0.3)
        listening = store._listener._session
        assert listening is not None
        await listening.execute("UNLISTEN *")
        await store.log.wait(head, 2.2)
        assert store._listener._session is not listening
        assert await hearing(store, other) < 0.5


async def hearing(store: PostgresStore, other: PostgresStore) -> float:
    """Return the median time in which the store hears of what another one writes."""
    times = []
    for number in range(5):
        head = (await other.log.bounds()).head
        waiting = asyncio.create_task(outcome(store.log.wait(head, 5)))
        await asyncio.sleep(0.05)
        await other.write(put(f"heard/{number}"))
        times.append((await waiting)[1] - 0.05)
    return sorted(times)[2]


async def test_many_who_wait_are_all_woken(database: str) -> None:
    async with opened(database) as (store, _), opened(database) as (other, _):
        await store.log.wait(0, 0.3)
        for number in range(20):
            waiting = [asyncio.create_task(outcome(store.log.wait(number, 5))) for _ in range(20)]
            await asyncio.sleep(0.01)
            await other.write(put(number))
            found = await asyncio.gather(*waiting)
            assert all(head == number + 1 for head, _ in found)
            assert max(took for _, took in found) < 0.8
