"""Random histories, compacted to random floors, against a replay of the whole log."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.backends.storage.contract import Store
from tests.contracts.storage.conftest import IMPLEMENTATIONS
from tests.contracts.storage.histories import EMPTYING, LOGGED, Replay, Step, apply, check_log

STEPS = st.builds(Step, st.integers(0, len(LOGGED) - 1), st.sampled_from(["one", "two", None]))
ROUNDS = st.lists(st.tuples(st.lists(STEPS, min_size=1, max_size=12), st.integers(0, 14)), min_size=1, max_size=4)


class Running(NamedTuple):
    """A store and the loop that it lives in; examples take their turns in it."""

    runner: asyncio.Runner
    store: Store


@pytest.fixture(params=IMPLEMENTATIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    open_store = IMPLEMENTATIONS[request.param](request)
    with asyncio.Runner() as runner:

        async def open_it() -> Store:
            return open_store()

        store = runner.run(open_it())
        yield Running(runner, store)
        runner.run(store.aclose())


async def start_empty(store: Store) -> int:
    """Leave neither resources nor history of the example before; return the floor."""
    await apply(store, EMPTYING)
    while await store.log.compact(keep=0):
        pass
    return (await store.log.bounds()).floor


async def compact_all_rounds(store: Store, rounds: list[tuple[list[Step], int]]) -> None:
    replay = Replay([], await start_empty(store))
    for steps, keep in rounds:
        await apply(store, steps)
        replay = await replay.follow(store)
        await store.log.compact(keep=keep)
        assert (await store.log.bounds()).floor >= replay.head - keep
        await check_log(store, replay)


@given(ROUNDS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_log_from_its_floor_on_is_what_the_whole_log_says(
    running: Running, rounds: list[tuple[list[Step], int]]
) -> None:
    running.runner.run(compact_all_rounds(running.store, rounds))
