"""How many connections there may be, in all and from one address."""

import asyncio
import itertools
import time

import pytest

from sarvanom.shared.observations import ConnectionsTurnedAway, listen
from sarvanom.web.connections import ConnectionGuard, ConnectionLimits


class Connection:
    """Notes when it is asked to look at its times."""

    def __init__(self) -> None:
        self.checked: list[float] = []

    def check(self, now: float) -> None:
        self.checked.append(now)


def admitted(guard: ConnectionGuard, *hosts: str | None) -> list[bool]:
    return [guard.admit(Connection(), host) for host in hosts]


def test_an_address_has_its_share() -> None:
    guard = ConnectionGuard(ConnectionLimits(connections=5, connections_per_address=2))
    hosts = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", None, "192.0.2.3"]
    assert admitted(guard, *hosts) == [True, True, False, True, True, False]


def test_what_leaves_makes_room() -> None:
    guard = ConnectionGuard(ConnectionLimits(connections_per_address=1))
    first, second = Connection(), Connection()
    assert guard.admit(first, "192.0.2.1")
    assert not guard.admit(second, "192.0.2.1")
    for connection in (first, second, second):
        guard.leave(connection)
    assert guard.admit(Connection(), "192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses_of_one_network_are_one_caller(one: str, other: str, *, are_one: bool) -> None:
    guard = ConnectionGuard(ConnectionLimits(connections_per_address=1))
    assert admitted(guard, one, other) == [True, not are_one]


@pytest.mark.parametrize("proxies", [["*"], ["192.0.2.0/24", "2001:db8::1"]])
def test_a_trusted_proxy_brings_the_connections_of_many(proxies: list[str]) -> None:
    limits = ConnectionLimits(connections=4, connections_per_address=1, trusted_proxies=proxies)
    guard = ConnectionGuard(limits)
    assert admitted(guard, *["192.0.2.1"] * 5) == [True, True, True, True, False]


def test_no_limit_of_an_address_counts_none() -> None:
    guard = ConnectionGuard(ConnectionLimits(connections=3))
    assert admitted(guard, *["192.0.2.1"] * 4) == [True, True, True, False]


@pytest.mark.parametrize(
    ("limits", "period"),
    [
        (ConnectionLimits(), 1.0),
        (ConnectionLimits(head_seconds=0.8), 0.1),
        (ConnectionLimits(body_seconds=2.0), 0.25),
    ],
)
def test_the_shorter_the_times_the_more_often_it_looks(limits: ConnectionLimits, period: float) -> None:
    assert limits.period == pytest.approx(period)


async def test_it_looks_until_it_is_stopped() -> None:
    guard = ConnectionGuard(ConnectionLimits(head_seconds=0.01))
    guard.stop()
    guard.start()
    assert guard.now == pytest.approx(asyncio.get_running_loop().time(), abs=1)
    connection = Connection()
    guard.admit(connection, "192.0.2.1")
    async with asyncio.timeout(5):
        while len(connection.checked) < 3:  # noqa: ASYNC110 (a timer sets no event)
            await asyncio.sleep(0.001)
    assert connection.checked == sorted(connection.checked)
    guard.stop()
    seen = len(connection.checked)
    await asyncio.sleep(0.01)
    assert len(connection.checked) == seen


async def test_while_it_stands_still_itself_little_time_passes() -> None:
    guard = ConnectionGuard(ConnectionLimits(head_seconds=0.08))
    guard.start()
    connection = Connection()
    guard.admit(connection, "192.0.2.1")
    async with asyncio.timeout(5):
        for enough in (1, 3):
            while len(connection.checked) < enough:  # noqa: ASYNC110 (a timer sets no event)
                await asyncio.sleep(0.001)
            time.sleep(0.1)  # noqa: ASYNC251 (the loop is meant to stand still)
    guard.stop()
    steps = [after - before for before, after in itertools.pairwise(connection.checked)]
    assert len(steps) >= 2
    assert max(steps) == pytest.approx(2 * guard.limits.period)


def test_those_turned_away_are_told_of_together() -> None:
    guard = ConnectionGuard(ConnectionLimits(connections=1))
    admitted(guard, *["192.0.2.1"] * 4)
    told: list[ConnectionsTurnedAway] = []
    end = listen(ConnectionsTurnedAway, told.append)
    guard.look(1.0)
    guard.look(2.0)
    end()
    assert told == [ConnectionsTurnedAway(3, 4)]
