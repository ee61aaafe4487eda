"""One run: writers, readers and watchers at work, faults among them, then quiet, and a look at what is stored."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.faults import Fault, make_faults
from tests.invariants.chaos.final import Teller, read_end
from tests.invariants.chaos.record import Goal, Record, now
from tests.invariants.chaos.watchers import Reader, Watcher
from tests.invariants.chaos.workload import places
from tests.invariants.chaos.writers import Writer
from tests.invariants.history import Change

CATCH_UP = 30.0
"""How many seconds the watchers have to reach the head once everything is quiet."""
READ_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is; `pause` is how long a writer waits between two writes, on average, in seconds."""

    seed: int
    seconds: float = 60.0
    least_writes: int = 0
    writers: int = 64
    readers: int = 4
    watchers: int = 8
    pause: float = 0.1


async def make_history(options: Options, cluster: Cluster, faults: Mapping[str, Fault]) -> Record:
    """Make a history of the cluster, which is whole at the beginning and at the end."""
    record = Record()
    goal = Goal(now() + options.seconds, now() + 3 * options.seconds, options.least_writes)
    chances = (random.Random(f"{options.seed} {number}") for number in range(10**6))
    readable = [*places(0), *places(1), *places(options.writers - 1)]
    watchers = [make_watcher(number, cluster, record, next(chances)) for number in range(options.watchers)]
    async with asyncio.TaskGroup() as watching:
        tasks = [
            watching.create_task(begin_late(watcher, number * options.seconds / 2 / options.watchers))
            for number, watcher in enumerate(watchers)
        ]
        async with asyncio.TaskGroup() as working:
            for number in range(options.writers):
                writer = Writer(number, cluster, record, next(chances))
                working.create_task(writer.run(goal, options.pause))
            for number in range(options.readers):
                reader = Reader(f"reader {number}", cluster, record, next(chances), readable)
                working.create_task(reader.run(goal, READ_PAUSE))
            working.create_task(make_faults(faults, record, next(chances), goal))
        log = await read_end(cluster, record, next(chances))
        await catch_up(watchers, log)
        for task in tasks:
            task.cancel()
    return record


def make_watcher(number: int, cluster: Cluster, record: Record, chance: random.Random) -> Watcher:
    """Return a watcher: every second one is restless, every fourth follows one collection."""
    only = ("users", "settings")[number // 4 % 2] if number % 4 == 3 else None
    return Watcher(f"watcher {number}", cluster, record, chance, only=only, restless=number % 2 == 1)


async def begin_late(watcher: Watcher, delay: float) -> None:
    """Let a watcher begin after a delay: some with what is new then, some with the whole log."""
    await asyncio.sleep(delay)
    if watcher.chance.random() < 0.5:
        watcher.start = watcher.position = await Teller(watcher.cluster, watcher.chance).head()
    await watcher.run()


async def catch_up(watchers: list[Watcher], log: list[Change]) -> None:
    """Wait until the watchers have seen the end of the log; whoever does not in time has missed it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP):
            for watcher in watchers:
                asked = [change.revision for change in log if watcher.only in {None, change.resource}]
                await watcher.reach(max(asked, default=0))
    # Whoever sends one too many gets the time to do so.
    await asyncio.sleep(0.5)
