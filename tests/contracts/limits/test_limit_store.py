"""What every store of limits keeps to."""

import asyncio

import pytest

from sarvanom.backends.limits.contract import MEMBER_SECONDS, MOST_MEMBERS, LimitStore
from sarvanom.shared.quotas import Balance, Charge, Demand, Penalty, Quota, Unit, Verdict
from tests.contracts.limits.clock import Clock

FIVE = Quota("five", 5)
KILOBYTE = Quota("bytes", 1000, Unit.BYTES)
TWO_AT_ONCE = Quota("concurrent", 2, Unit.CONCURRENT)
PENALTY = Penalty(free=3, first=1.0, longest=8.0, memory=100)


def asking(caller: str, amount: int = 1) -> Demand:
    return Demand((Charge(FIVE, caller, amount),))


def holding(caller: str) -> Demand:
    return Demand((Charge(FIVE, caller),), Charge(TWO_AT_ONCE, f"{caller}:places"))


async def admitted(store: LimitStore, demand: Demand) -> bool:
    return (await store.admit(demand)).refused_by is None


async def test_a_quota_is_given_out_to_the_last_and_no_further(store: LimitStore, caller: str) -> None:
    verdicts = [await store.admit(asking(caller)) for _ in range(7)]
    assert [verdict.refused_by for verdict in verdicts] == [None] * 5 + [FIVE] * 2
    assert [verdict.balances for verdict in verdicts[:5]] == [(Balance(FIVE, left, 61),) for left in (4, 3, 2, 1, 0)]
    assert verdicts[5] == Verdict((Balance(FIVE, 0, 61),), FIVE, 61)


async def test_who_waits_as_long_as_was_said_is_admitted(store: LimitStore, caller: str, clock: Clock) -> None:
    for _ in range(5):
        await store.admit(asking(caller))
        clock.go(2.5)
    refusal = await store.admit(asking(caller))
    assert refusal.retry_in == 61 - 12
    clock.go(refusal.retry_in - 1)
    assert not await admitted(store, asking(caller))
    clock.go(1)
    assert await admitted(store, asking(caller))
    assert not await admitted(store, asking(caller))


async def test_a_refusal_costs_nothing(store: LimitStore, caller: str, clock: Clock) -> None:
    for _ in range(5):
        await store.admit(asking(caller))
    clock.go(30)
    for _ in range(20):
        assert not await admitted(store, asking(caller))
    clock.go(31)
    assert [await admitted(store, asking(caller)) for _ in range(6)] == [True] * 5 + [False]


async def test_callers_do_not_count_for_each_other(store: LimitStore, caller: str) -> None:
    assert not await admitted(store, asking(caller, 6))
    assert await admitted(store, asking(caller, 5))
    assert await admitted(store, asking(f"{caller}-another"))


async def test_an_amount_waits_until_all_of_it_fits(store: LimitStore, caller: str, clock: Clock) -> None:
    await store.admit(asking(caller, 2))
    clock.go(10)
    await store.admit(asking(caller, 2))
    clock.go(10)
    refusal = await store.admit(asking(caller, 5))
    assert refusal == Verdict((Balance(FIVE, 1, 51),), FIVE, 51)
    assert (await store.admit(asking(caller, 3))).retry_in == 41
    assert await admitted(store, asking(caller, 1))


async def test_a_demand_is_met_whole_or_not_at_all(store: LimitStore, caller: str) -> None:
    both = Demand((Charge(FIVE, caller), Charge(KILOBYTE, f"{caller}:bytes", 600)), Charge(TWO_AT_ONCE, f"{caller}:p"))
    first = await store.admit(both)
    assert first.balances == (Balance(FIVE, 4, 61), Balance(KILOBYTE, 400, 61))
    refused = await store.admit(both)
    assert (refused.refused_by, refused.balances) == (KILOBYTE, (Balance(KILOBYTE, 400, 61),))
    after = await store.admit(Demand((Charge(FIVE, caller),), Charge(TWO_AT_ONCE, f"{caller}:p")))
    assert after.balances == (Balance(FIVE, 3, 61),)
    full = await store.admit(Demand((Charge(FIVE, caller),), Charge(TWO_AT_ONCE, f"{caller}:p")))
    assert full == Verdict((), TWO_AT_ONCE, 1)
    assert (await store.admit(asking(caller))).balances == (Balance(FIVE, 2, 61),)


async def test_places_are_held_until_they_are_given_back(store: LimitStore, caller: str, clock: Clock) -> None:
    demand = holding(caller)
    assert await admitted(store, demand)
    assert await admitted(store, demand)
    clock.go(600)
    assert not await admitted(store, demand)
    store.release(demand)
    assert await admitted(store, demand)
    assert not await admitted(store, demand)


async def test_what_takes_nothing_is_always_admitted(store: LimitStore) -> None:
    assert await store.admit(Demand(())) == Verdict(())
    store.release(Demand(()))


async def test_what_each_counts_alone_is_counted_too(store: LimitStore, caller: str) -> None:
    demand = Demand((Charge(FIVE, caller),), is_local=True)
    assert [await admitted(store, demand) for _ in range(6)] == [True] * 5 + [False]


async def test_what_each_counts_alone_can_be_withdrawn(store: LimitStore, caller: str) -> None:
    demand = Demand((Charge(FIVE, caller),), Charge(TWO_AT_ONCE, f"{caller}:places"), is_local=True)
    for _ in range(8):
        assert await admitted(store, demand)
        store.withdraw(demand)
    assert [await admitted(store, demand) for _ in range(3)] == [True, True, False]


async def test_many_at_once_get_no_more_than_the_quota(store: LimitStore, caller: str) -> None:
    demand = Demand((Charge(Quota("many", 300), caller),))
    verdicts = await asyncio.gather(*(store.admit(demand) for _ in range(500)))
    assert sum(verdict.refused_by is None for verdict in verdicts) == 300
    assert sorted(verdict.balances[0].left for verdict in verdicts) == [0] * 200 + list(range(300))


async def test_whoever_leaves_while_it_waits_holds_no_place(store: LimitStore, caller: str) -> None:
    demand = holding(caller)
    for _ in range(3):
        waiting = asyncio.create_task(store.admit(demand))
        await asyncio.sleep(0)
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            continue
        store.release(demand)
    verdicts = [await store.admit(Demand((), demand.place)) for _ in range(3)]
    assert [verdict.refused_by for verdict in verdicts] == [None, None, TWO_AT_ONCE]


async def test_those_who_leave_do_not_disturb_those_who_stay(store: LimitStore, caller: str) -> None:
    demand = Demand((), Charge(Quota("concurrent", 10, Unit.CONCURRENT), caller))
    tasks = [asyncio.create_task(store.admit(demand)) for _ in range(30)]
    for turn in range(5):
        await asyncio.sleep(0)
        for task in tasks[turn::10]:
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    held = sum(isinstance(one, Verdict) and one.refused_by is None for one in ended)
    async with asyncio.timeout(5):
        while held < 10:
            held += await admitted(store, demand)
    assert not await admitted(store, demand)


async def test_demands_are_counted(store: LimitStore, caller: str) -> None:
    for _ in range(7):
        await store.admit(asking(caller))
    assert (store.counts.admitted, store.counts.refused, store.counts.outages) == (5, 2, 0)


async def test_failures_have_to_wait_twice_as_long_each_time(store: LimitStore, caller: str, clock: Clock) -> None:
    assert [await store.strike(caller, PENALTY) for _ in range(3)] == [0, 0, 0]
    for wait in (1, 2, 4, 8, 8):
        assert await store.strike(caller, PENALTY) == pytest.approx(wait)
        clock.go(wait - 0.25)
        assert await store.strike(caller, PENALTY) == pytest.approx(0.25)
        clock.go(0.25)
        assert await store.strike(caller, PENALTY) == 0


async def test_failures_are_forgotten_in_time(store: LimitStore, caller: str, clock: Clock) -> None:
    for _ in range(3):
        await store.strike(caller, PENALTY)
    clock.go(100.5)
    assert [await store.strike(caller, PENALTY) for _ in range(3)] == [0, 0, 0]
    assert await store.strike(caller, PENALTY) > 0


async def test_failures_are_pardoned_one_by_one_or_all(store: LimitStore, caller: str) -> None:
    await store.pardon(caller, PENALTY, all_of_them=False)
    for _ in range(3):
        await store.strike(caller, PENALTY)
    await store.pardon(caller, PENALTY, all_of_them=False)
    assert await store.strike(caller, PENALTY) == 0
    assert await store.strike(caller, PENALTY) > 0
    await store.pardon(caller, PENALTY, all_of_them=True)
    assert [await store.strike(caller, PENALTY) for _ in range(3)] == [0, 0, 0]
    assert await store.strike(caller, PENALTY) > 0


async def test_members_are_remembered_for_a_day(store: LimitStore, caller: str, clock: Clock) -> None:
    assert not await store.remembers(caller, "here")
    await store.remember(caller, "here")
    await store.remember(caller, "there")
    clock.go(MEMBER_SECONDS - 10)
    await store.remember(caller, "there")
    assert await store.remembers(caller, "here")
    clock.go(11)
    assert [await store.remembers(caller, member) for member in ("here", "there", "elsewhere")] == [False, True, False]
    assert not await store.remembers(f"{caller}:other", "there")
    clock.go(MEMBER_SECONDS)
    assert not await store.remembers(caller, "there")


async def test_of_each_key_the_newest_members_are_remembered(store: LimitStore, caller: str, clock: Clock) -> None:
    for number in range(MOST_MEMBERS):
        await store.remember(caller, f"m{number}")
        clock.go(1)
    await store.remember(caller, "m0")
    clock.go(1)
    for number in range(3):
        await store.remember(caller, f"n{number}")
    found = [number for number in range(MOST_MEMBERS) if await store.remembers(caller, f"m{number}")]
    assert found == [0, *range(4, MOST_MEMBERS)]
    assert [await store.remembers(caller, f"n{number}") for number in range(3)] == [True] * 3


async def test_attempts_at_the_same_time_are_all_counted(store: LimitStore, caller: str) -> None:
    waits = await asyncio.gather(*(store.strike(caller, PENALTY) for _ in range(50)))
    assert waits.count(0) == 3


async def test_what_is_shared_can_be_asked(store: LimitStore) -> None:
    await store.check()
