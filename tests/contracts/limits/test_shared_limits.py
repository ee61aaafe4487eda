"""Several gateways over one Valkey: what they share, and what becomes of those that are gone."""

import asyncio

import pytest

from sarvanom.backends.limits.valkey.connection import ValkeyScripts
from sarvanom.backends.limits.valkey.shared import SharedLimits
from sarvanom.shared.quotas import Charge, Demand, Penalty, Quota, Unit, Verdict
from tests.contracts.limits.clock import Clock
from tests.contracts.limits.conftest import shared_limits
from tests.harness.valkey import ValkeyServer

HUNDRED = Quota("hundred", 100)
FOUR_AT_ONCE = Quota("concurrent", 4, Unit.CONCURRENT)


class CountedScripts(ValkeyScripts):
    """A connection that counts what is asked of it."""

    ran = 0

    async def run(self, script: str, call: bytes) -> bytes:
        self.ran += 1
        return await super().run(script, call)


def place_of(caller: str) -> Demand:
    return Demand((), Charge(FOUR_AT_ONCE, caller))


async def settled(store: SharedLimits) -> None:
    """Wait until the others have been told of the places that were given back."""
    async with asyncio.timeout(5):
        while store._changed or store._sender or store._flush:  # noqa: ASYNC110 (it has nothing to wait on)
            await asyncio.sleep(0.005)


async def test_all_gateways_together_admit_exactly_the_quota(gateways: list[SharedLimits], caller: str) -> None:
    demand = Demand((Charge(HUNDRED, caller),))
    verdicts = await asyncio.gather(*(store.admit(demand) for _ in range(90) for store in gateways))
    assert sum(verdict.refused_by is None for verdict in verdicts) == 100
    assert all(verdict.balances[0].quota is HUNDRED for verdict in verdicts)


async def test_what_all_have_counted_is_not_withdrawn(gateways: list[SharedLimits], caller: str) -> None:
    demand = Demand((Charge(Quota("shared", 3), caller),))
    await gateways[0].admit(demand)
    with pytest.raises(ValueError, match="cannot be withdrawn"):
        gateways[0].withdraw(demand)


async def test_they_do_so_over_and_over_again(gateways: list[SharedLimits], caller: str, clock: Clock) -> None:
    demand = Demand((Charge(HUNDRED, caller),))
    admitted: list[int] = []
    for second in range(200):
        verdicts = await asyncio.gather(*(store.admit(demand) for _ in range(3) for store in gateways))
        admitted += [second] * sum(verdict.refused_by is None for verdict in verdicts)
        clock.go(1)
    most = max(sum(start <= second < start + 61 for second in admitted) for start in admitted)
    assert most == 100
    assert len(admitted) == 400


async def test_a_refusal_is_remembered_where_it_was_given(valkey: ValkeyServer, caller: str, clock: Clock) -> None:
    scripts = CountedScripts(valkey.url)
    store = SharedLimits(scripts, clock=clock, server_clock=clock)
    demand = Demand((Charge(HUNDRED, caller),))
    async with shared_limits(valkey.url, clock) as other:
        for _ in range(100):
            await other.admit(demand)
    await store.open()
    first = await store.admit(demand)
    clock.go(20)
    ran = scripts.ran
    again = await store.admit(demand)
    assert (first.refused_by, first.retry_in, again.refused_by, again.retry_in) == (HUNDRED, 61, HUNDRED, 41)
    assert scripts.ran == ran > 0
    clock.go(41)
    assert (await store.admit(demand)).refused_by is None
    await store.aclose()


async def test_a_large_amount_that_was_refused_does_not_keep_out_a_small_one(
    gateways: list[SharedLimits], caller: str
) -> None:
    first, second, _ = gateways
    await first.admit(Demand((Charge(HUNDRED, caller, 60),)))
    assert (await second.admit(Demand((Charge(HUNDRED, caller, 50),)))).refused_by is HUNDRED
    assert (await second.admit(Demand((Charge(HUNDRED, caller, 40),)))).refused_by is None


async def test_places_are_held_at_all_gateways(gateways: list[SharedLimits], caller: str) -> None:
    first, second, third = gateways
    demand = place_of(caller)
    verdicts = [await store.admit(demand) for store in (first, first, second, third)]
    assert all(verdict.refused_by is None for verdict in verdicts)
    assert [await store.admit(demand) for store in gateways] == [Verdict((), FOUR_AT_ONCE, 1)] * 3
    first.release(demand)
    await settled(first)
    assert (await second.admit(demand)).refused_by is None
    assert (await third.admit(demand)).refused_by is FOUR_AT_ONCE
    for store in (first, second, second, third):
        store.release(demand)
    for store in gateways:
        await settled(store)
    verdicts = await asyncio.gather(*(store.admit(demand) for _ in range(3) for store in gateways))
    assert sum(verdict.refused_by is None for verdict in verdicts) == 4


async def test_places_are_counted_right_among_many_that_come_and_go(gateways: list[SharedLimits], caller: str) -> None:
    demand = place_of(caller)
    at_once = most = refused = 0

    async def come_and_go(store: SharedLimits) -> None:
        nonlocal at_once, most, refused
        for _ in range(40):
            if (await store.admit(demand)).refused_by is not None:
                refused += 1
                continue
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            store.release(demand)

    await asyncio.gather(*(come_and_go(store) for store in gateways for _ in range(6)))
    assert most <= 4
    assert refused > 0
    for store in gateways:
        await settled(store)
    assert (await gateways[0].admit(demand)).refused_by is None


async def test_the_places_of_a_gateway_that_is_gone_are_free_in_time(
    valkey: ValkeyServer, gateways: list[SharedLimits], caller: str, clock: Clock
) -> None:
    demand = place_of(caller)
    async with shared_limits(valkey.url, clock) as gone:
        for _ in range(4):
            await gone.admit(demand)
    clock.go(30)
    assert (await gateways[0].admit(demand)).refused_by is FOUR_AT_ONCE
    clock.go(1)
    assert (await gateways[0].admit(demand)).refused_by is None


async def test_places_that_are_held_for_long_are_renewed(
    gateways: list[SharedLimits], caller: str, clock: Clock
) -> None:
    first, second, _ = gateways
    for _ in range(4):
        await first.admit(place_of(caller))
    for _ in range(5):
        clock.go(25)
        first._renew()
        await settled(first)
    assert (await second.admit(place_of(caller))).refused_by is FOUR_AT_ONCE


async def test_failures_slow_down_at_all_gateways(gateways: list[SharedLimits], caller: str) -> None:
    penalty = Penalty(free=6, memory=100)
    waits = await asyncio.gather(*(store.strike(caller, penalty) for _ in range(5) for store in gateways))
    assert waits.count(0) == 6
    await gateways[0].pardon(caller, penalty, all_of_them=True)
    assert await gateways[1].strike(caller, penalty) == 0


async def test_the_servers_clock_counts_if_no_other_is_given(valkey: ValkeyServer, caller: str) -> None:
    async with shared_limits(valkey.url) as one, shared_limits(valkey.url) as other:
        demand = Demand((Charge(HUNDRED, caller),))
        verdicts = await asyncio.gather(*(store.admit(demand) for _ in range(80) for store in (one, other)))
        assert sum(verdict.refused_by is None for verdict in verdicts) == 100
        assert {verdict.balances[0].more_in for verdict in verdicts} <= set(range(30, 62))
        penalty = Penalty(free=1, first=30)
        assert await one.strike(caller, penalty) == 0
        assert 25 < await other.strike(caller, penalty) <= 30


async def test_what_is_stored_does_not_stay(valkey: ValkeyServer, gateways: list[SharedLimits], caller: str) -> None:
    await gateways[0].admit(Demand((Charge(HUNDRED, caller),), Charge(FOUR_AT_ONCE, f"{caller}:places")))
    await gateways[0].strike(f"{caller}:login", Penalty(free=3))
    await gateways[0].remember(f"{caller}:known", "here")
    assert await gateways[1].remembers(f"{caller}:known", "here")
    stored = ((caller, 62), (f"{caller}:places", 31), (f"{caller}:login", 3601), (f"{caller}:known", 86_401))
    for key, longest in stored:
        left = int(valkey.ask("TTL", f"{{sarvanom-limits}}:{key}").removeprefix(":"))
        assert longest - 10 < left <= longest
