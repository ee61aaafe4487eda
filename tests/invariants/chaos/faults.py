"""What goes wrong: which fault comes next, and when, follows from the seed."""

import asyncio
import random
from collections.abc import Callable, Mapping

from tests.invariants.chaos.record import Goal, Record

type Fault = Callable[[random.Random], None]

EACH_ROUND = {"crud killed": 2, "backend killed": 2}
"""How often a fault comes before all others have come again; once, if it is not named."""


async def make_faults(faults: Mapping[str, Fault], record: Record, chance: random.Random, goal: Goal) -> None:
    """Let one fault happen after the other, each repaired before the next, in rounds that have them all."""
    to_come: list[str] = []
    while not record.is_enough(goal):
        await asyncio.sleep(chance.uniform(0.5, 3))
        if not to_come:
            to_come = [name for name in faults for _ in range(EACH_ROUND.get(name, 1))]
            chance.shuffle(to_come)
        name = to_come.pop()
        await asyncio.to_thread(faults[name], chance)
        record.tally[name] += 1
