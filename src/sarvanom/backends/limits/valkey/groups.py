"""Demands that are decided together: one call carries all that have come while the one before was under way."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from sarvanom.shared.quotas import Balance, Demand, Verdict

LEASE_SECONDS: Final = 30
"""How long the places of a gateway count that is not heard of any more."""
_MOST: Final = 128


class Asked(NamedTuple):
    """A demand, and where its verdict is waited for."""

    demand: Demand
    verdict: asyncio.Future[Verdict]


def take_group(waiting: list[Asked]) -> list[Asked]:
    """Take out those whose turn it is, but for those who have left meanwhile and hold no place any more."""
    group = [asked for asked in waiting[:_MOST] if not asked.verdict.done()]
    del waiting[:_MOST]
    return group


def write_group(
    group: list[Asked], changed: Iterable[str], *, held: Callable[[str], int], me: str, now: int | None
) -> bytes:
    """Return what the script is told; `held` counts the places of this gateway, those that are asked for included."""
    pending = Counter(asked.demand.place.key for asked in group if asked.demand.place is not None)
    demands = []
    for demand, _ in group:
        place = demand.place
        if place is not None:
            pending[place.key] -= 1
        demands.append(
            (
                [(key, quota.amount, quota.seconds, amount) for quota, key, amount in demand.charges],
                place and (place.key, place.quota.amount, held(place.key) - pending[place.key]),
            )
        )
    call: dict[str, Any] = {"me": me, "lease": LEASE_SECONDS, "demands": demands}
    call["places"] = [(key, held(key)) for key in changed]
    if now is not None:
        call["now"] = now
    return orjson.dumps(call)


def read_verdicts(group: list[Asked], answer: bytes) -> list[Verdict]:
    """Return the verdicts that the script gave, in the order of the group."""
    return [_verdict(demand, numbers) for (demand, _), numbers in zip(group, orjson.loads(answer), strict=True)]


def _verdict(demand: Demand, numbers: list[int]) -> Verdict:
    match numbers:
        case [0, *left]:
            pairs = zip(demand.charges, left[::2], left[1::2], strict=True)
            return Verdict(tuple(Balance(charge.quota, remaining, more_in) for charge, remaining, more_in in pairs))
        case [-1] if demand.place is not None:
            return Verdict((), demand.place.quota, 1)
        case [number, left, more_in]:
            quota = demand.charges[number - 1].quota
            return Verdict((Balance(quota, left, more_in),), quota, more_in)
    raise ValueError("The script gave no verdict")
