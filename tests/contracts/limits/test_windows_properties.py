"""Whatever is asked for and when: no more than the quota in any minute on end, and nothing refused without need."""

import asyncio
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.shared.quotas import Charge, Demand, Quota
from tests.contracts.limits.clock import Clock
from tests.contracts.limits.conftest import shared_limits
from tests.harness.valkey import ValkeyServer

SECONDS = 10
STEPS = st.lists(
    st.tuples(st.floats(0, 2 * SECONDS, allow_nan=False), st.integers(1, 4), st.booleans()), min_size=1, max_size=60
)


async def check_steps(store: LimitStore, clock: Clock, steps: list[tuple[float, int, bool]]) -> None:
    """Take each step: wait, ask for an amount; check the verdict against all that was admitted before."""
    quota = Quota("some", 10, seconds=SECONDS)
    caller = uuid4().hex
    taken: list[tuple[float, int]] = []
    for pause, amount, is_patient in steps:
        clock.go(pause if is_patient else pause / 40)
        verdict = await store.admit(Demand((Charge(quota, caller, amount),)))
        used = sum(before for at, before in taken if int(at) >= int(clock.now) - SECONDS)
        [balance] = verdict.balances
        if used + amount <= quota.amount:
            assert verdict.refused_by is None
            taken.append((clock.now, amount))
            used += amount
        else:
            assert verdict.refused_by is quota
            assert 1 <= verdict.retry_in <= SECONDS + 1
            later = int(clock.now) + verdict.retry_in
            still = [sum(n for at, n in taken if int(at) >= moment - SECONDS) for moment in (later - 1, later)]
            assert still[0] + amount > quota.amount >= still[1] + amount
        assert balance.left == quota.amount - used
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at <= start + SECONDS) <= quota.amount


@given(STEPS)
@settings(max_examples=300, deadline=None)
async def test_in_memory(steps: list[tuple[float, int, bool]]) -> None:
    clock = Clock()
    await check_steps(MemoryLimits(clock), clock, steps)


@given(st.lists(STEPS, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_valkey(valkey: ValkeyServer, runs: list[list[tuple[float, int, bool]]]) -> None:
    async def check() -> None:
        for steps in runs:
            clock = Clock()
            async with shared_limits(valkey.url, clock) as store:
                await check_steps(store, clock, steps)
                assert store.counts.decided_alone == 0

    asyncio.run(check())
