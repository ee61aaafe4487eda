"""Limits that are shared through a Valkey that goes away: nobody waits long, and no door is open or shut for it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from sarvanom.backends.limits.valkey.connection import LimitsAway, ValkeyScripts
from sarvanom.backends.limits.valkey.shared import SharedLimits
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.quotas import Charge, Demand, Penalty, Quota, Unit
from tests.harness.postgres import free_port
from tests.harness.valkey import ValkeyServer, running_valkey

TEN = Quota("ten", 10)
TWO_AT_ONCE = Quota("concurrent", 2, Unit.CONCURRENT)
PENALTY = Penalty(free=2, first=30)


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with running_valkey() as running:
        yield running


@pytest.fixture
async def store(server: ValkeyServer) -> AsyncIterator[SharedLimits]:
    store = SharedLimits(ValkeyScripts(server.url))
    await store.open()
    yield store
    await store.aclose()


def asking(caller: str) -> Demand:
    return Demand((Charge(TEN, caller),))


async def number_admitted(store: SharedLimits, caller: str, tries: int = 20) -> int:
    verdicts = await asyncio.gather(*(store.admit(asking(caller)) for _ in range(tries)))
    return sum(verdict.refused_by is None for verdict in verdicts)


async def until_shared(store: SharedLimits) -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        while not store.is_shared:  # noqa: ASYNC110 (it has nothing to wait on)
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_gateway_goes_on_with_what_it_has_counted_itself(server: ValkeyServer, store: SharedLimits) -> None:
    with capture_logs() as lines:
        assert await number_admitted(store, "a", 6) == 6
        server.kill()
        assert await number_admitted(store, "a") == 4
        assert await number_admitted(store, "b") == 10
        assert not store.is_shared
        assert (store.counts.outages, store.counts.decided_alone) == (1, 14)
        server.start()
        assert await until_shared(store) < 8
        assert await number_admitted(store, "a") == 0
        assert await number_admitted(store, "b") == 0
        assert await number_admitted(store, "c") == 10
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("limits are not shared: valkey is away", "warning"),
        ("limits are shared again", "info"),
    ]
    assert server.password not in str(lines)
    assert (store.counts.outages, store.counts.decided_alone) == (1, 14)


async def test_nobody_waits_for_one_that_stands_still(server: ValkeyServer, store: SharedLimits) -> None:
    with capture_logs() as lines, server.held():
        began = time.monotonic()
        assert await number_admitted(store, "held") == 10
        assert time.monotonic() - began < 2
        began = time.monotonic()
        for _ in range(50):
            await store.admit(asking("held too"))
        assert time.monotonic() - began < 1
        await asyncio.sleep(1.7)  # it is looked for meanwhile, in vain
        assert not store.is_shared
    assert await until_shared(store) < 8
    assert [line["event"] for line in lines] == ["limits are not shared: valkey is away"]


async def test_places_are_known_again_when_it_is_back(server: ValkeyServer, store: SharedLimits) -> None:
    demand = Demand((), Charge(TWO_AT_ONCE, "places"))
    assert (await store.admit(demand)).refused_by is None
    server.kill()
    assert (await store.admit(demand)).refused_by is None
    assert (await store.admit(demand)).refused_by is TWO_AT_ONCE
    server.start()
    await until_shared(store)
    other = SharedLimits(ValkeyScripts(server.url))
    await other.open()
    async with asyncio.timeout(5):
        while (await other.admit(demand)).refused_by is None:
            other.release(demand)
            await asyncio.sleep(0.01)
    store.release(demand)
    store.release(demand)
    async with asyncio.timeout(5):
        while (await other.admit(demand)).refused_by is not None:  # noqa: ASYNC110 (nor has a place)
            await asyncio.sleep(0.01)
    await other.aclose()


async def test_failed_logins_slow_down_all_the_same(server: ValkeyServer, store: SharedLimits) -> None:
    assert await store.strike("login", PENALTY) == 0
    server.kill()
    assert await store.strike("login", PENALTY) == 0
    assert 29 < await store.strike("login", PENALTY) <= 30
    await store.pardon("login", PENALTY, all_of_them=True)
    assert await store.strike("login", PENALTY) == 0
    server.start()
    await until_shared(store)


async def test_it_may_be_away_from_the_start(server: ValkeyServer) -> None:
    server.kill()
    store = SharedLimits(ValkeyScripts(server.url))
    with capture_logs() as lines:
        await store.open()
        assert await number_admitted(store, "early") == 10
        server.start()
        assert await until_shared(store) < 8
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert await number_admitted(store, "early") == 0
    await store.aclose()


async def test_whoever_waits_when_the_gateway_stops_is_decided_about_by_it_alone(server: ValkeyServer) -> None:
    store = SharedLimits(ValkeyScripts(server.url))
    await store.open()
    with server.held():
        waiting = [asyncio.create_task(store.admit(asking("stopping"))) for _ in range(12)]
        await asyncio.sleep(0.02)
        await store.aclose()
        verdicts = await asyncio.gather(*waiting)
    assert sum(verdict.refused_by is None for verdict in verdicts) == 10
    await store.aclose()


async def test_a_gateway_that_was_never_opened_decides_alone(server: ValkeyServer) -> None:
    store = SharedLimits(ValkeyScripts(server.url))
    assert await number_admitted(store, "unopened") == 10
    assert store.counts.decided_alone == 10
    await store.aclose()


async def test_scripts_that_the_server_has_forgotten_are_told_again(server: ValkeyServer, store: SharedLimits) -> None:
    server.ask("SCRIPT", "FLUSH")
    assert await number_admitted(store, "forgotten") == 10
    assert (store.is_shared, store.counts.decided_alone) == (True, 0)


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_server_that_lets_nobody_in_is_one_that_is_away(server: ValkeyServer, password: str) -> None:
    scripts = ValkeyScripts(f"valkey://:{password}@127.0.0.1:{server.port}/0")
    with pytest.raises(LimitsAway, match=r"^(Authentication|Response)\w*Error$"):
        await scripts.open()
    await scripts.aclose()


async def test_what_is_no_valkey_is_away_too() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    for url in (f"redis://127.0.0.1:{port}", f"redis://127.0.0.1:{free_port()}", f"rediss://127.0.0.1:{port}"):
        scripts = ValkeyScripts(url)
        with pytest.raises(LimitsAway):
            await scripts.open()
        with pytest.raises(LimitsAway):
            await scripts.run("return '0'", b"{}")
        await scripts.aclose()
    listener.close()
    await listener.wait_closed()


class SillyScripts(ValkeyScripts):
    """A server whose answers mean nothing."""

    answer = b"[[7]]"

    async def open(self) -> None:
        return

    async def run(self, script: str, call: bytes) -> bytes:
        return self.answer


@pytest.mark.parametrize("answer", [b"[[7]]", b"[]", b"?", b"[[-1]]", b"[[0,1,2,3]]"])
async def test_an_answer_that_cannot_be_read_is_none(answer: bytes) -> None:
    scripts = SillyScripts("redis://127.0.0.1:1")
    scripts.answer = answer
    store = SharedLimits(scripts)
    await store.open()
    assert await number_admitted(store, "silly") == 10
    assert not store.is_shared
    await store._connect()
    assert await store.strike("silly", PENALTY) == 0
    assert not store.is_shared
    await store.aclose()


@pytest.mark.parametrize("url", ["redis://:hunter2@db:port", "http://:hunter2@db", "redis://:hunter2@db/0?colour=red"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="URL of Valkey cannot be read") as caught:
        ValkeyScripts(url)
    assert not re.search("hunter2", str(caught.value))
    assert caught.value.__cause__ is None


async def test_a_check_finds_one_that_stands_still_by_itself(server: ValkeyServer, store: SharedLimits) -> None:
    await store.check()
    with capture_logs(), server.held():
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(ServiceUnavailable, match="Valkey does not answer"):
                await store.check()
        assert time.monotonic() - began < 2
        assert store.counts.outages == 1
    await until_shared(store)
    await store.check()
