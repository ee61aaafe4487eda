"""Hearing of writes while the connection that listens is silent."""

import asyncio
import time

import pytest

from sarvanom.backends.storage.postgres import listener as listener_module
from sarvanom.backends.storage.postgres.connections import Connector, Timeouts
from sarvanom.backends.storage.postgres.listener import Listener
from sarvanom.backends.storage.postgres.store import PostgresStore
from tests.unit.backends.storage.postgres.proxy import Proxy
from tests.unit.backends.storage.postgres.things import ask, put


async def until_listening(listener: Listener) -> None:
    async with asyncio.timeout(5):
        while not listener._is_listening:
            await listener.wait(listener.next, 0.01)


async def test_a_silent_connection_keeps_nobody_waiting(network: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process writes is heard of at once, however long the check of the connection takes."""
    monkeypatch.setattr(listener_module, "_SECONDS_BETWEEN_LOOKS", 0.1)
    listener = Listener(Connector(network.url, Timeouts()))
    await until_listening(listener)
    network.is_silent = True
    began = time.monotonic()
    await listener.wait(listener.next, 10)
    assert listener._checking is not None
    assert not listener._checking.done(), "nobody answers"
    assert time.monotonic() - began < 1
    waiting = asyncio.create_task(listener.wait(listener.next, 10))
    await asyncio.sleep(0)
    listener.announce()
    async with asyncio.timeout(0.05):
        await waiting
    await listener.aclose()


async def test_a_silent_connection_is_replaced(network: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_SECONDS_BETWEEN_LOOKS", 0.05)
    listener = Listener(Connector(network.url, Timeouts(statement=0.3)))
    await until_listening(listener)
    silent = listener._session
    network.is_silent = True
    async with asyncio.timeout(5):
        while listener._is_listening:
            await listener.wait(listener.next, 10)
        network.is_silent = False
        network.cut()
        await until_listening(listener)
    assert listener._session is not silent
    await listener.aclose()


async def test_a_connection_that_hears_is_kept(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_SECONDS_BETWEEN_LOOKS", 0.02)
    listener = store._listener
    await until_listening(listener)
    hearing = listener._session
    await store.log.wait(0, 0.5)
    assert listener._checking is not None
    assert listener._session is hearing
    assert listener._is_listening


async def test_one_that_has_been_made_deaf_is_replaced(
    store: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "_SECONDS_BETWEEN_LOOKS", 0.02)
    listener = store._listener
    await until_listening(listener)
    deaf = listener._session
    assert deaf is not None
    await deaf.execute("UNLISTEN *")
    async with asyncio.timeout(5):
        while deaf.is_open:
            await listener.wait(listener.next, 1)
    await until_listening(listener)
    waiting = asyncio.create_task(store.log.wait(0, 5))
    await asyncio.sleep(0)
    await store.write(put("there"))
    assert await waiting == 1
    assert await ask(database, "SELECT 1 FROM changes")
