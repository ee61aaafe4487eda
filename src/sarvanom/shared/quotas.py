"""What is limited: quotas, what a request takes of them, and what is left."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Unit(StrEnum):
    """What a quota counts, as draft-ietf-httpapi-ratelimit-headers names it."""

    REQUESTS = "requests"
    BYTES = "content-bytes"
    CONCURRENT = "concurrent-requests"


@dataclass(frozen=True, slots=True, eq=False)
class Quota:
    """So much may be taken in any `seconds` on end, or held at any moment. Each is equal to itself alone."""

    name: str
    amount: int
    unit: Unit = Unit.REQUESTS
    seconds: int = 60


class Charge(NamedTuple):
    """What is taken of a quota; `key` says by whom, and is unique among all quotas."""

    quota: Quota
    key: str
    amount: int = 1


class Demand(NamedTuple):
    """What a request takes: all of it, or nothing.

    A `place` is held until it is given back. What `is_local` is counted by each process on its own.
    """

    charges: tuple[Charge, ...]
    place: Charge | None = None
    is_local: bool = False


class Balance(NamedTuple):
    """What is left of a quota, and in how many seconds it is more."""

    quota: Quota
    left: int
    more_in: int


class Verdict(NamedTuple):
    """What is left of each quota that a demand charged; or which quota refused it, and for how many seconds."""

    balances: tuple[Balance, ...]
    refused_by: Quota | None = None
    retry_in: int = 0


@dataclass(frozen=True, slots=True)
class Penalty:
    """How failures slow down: `free` of them cost nothing, then each next one has to wait twice as long.

    Times are in seconds. Failures are forgotten when there was none for `memory`.
    """

    free: int
    first: float = 1.0
    longest: float = 60.0
    memory: int = 3600

    def wait(self, failures: int) -> float:
        """Return how long after the last of so many failures the next attempt has to wait."""
        if failures < self.free:
            return 0.0
        return min(self.longest, self.first * 2.0 ** min(failures - self.free, 32))
