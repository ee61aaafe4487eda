"""Limits that one process counts by itself."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from sarvanom.backends.limits.contract import MEMBER_SECONDS, MOST_MEMBERS, LimitCounts, LimitStore
from sarvanom.backends.limits.windows import Recent, Window
from sarvanom.shared.quotas import Balance, Demand, Penalty, Verdict

_MOST_WINDOWS: Final = 131_072
_MOST_STRIKES: Final = 32_768
_MOST_REMEMBERED: Final = 8_192
_WINDOW_SECONDS: Final = 62
_STRIKE_SECONDS: Final = 3600


class MemoryLimits(LimitStore):
    """Counts in this process; if there are very many callers, it forgets what those took who were seen longest ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = _MOST_WINDOWS) -> None:
        self.counts = LimitCounts()
        self._clock = clock
        self._windows = Recent[Window](_WINDOW_SECONDS, most)
        self._strikes = Recent[tuple[int, float]](_STRIKE_SECONDS, min(most, _MOST_STRIKES))
        self._members = Recent[dict[str, float]](MEMBER_SECONDS, min(most, _MOST_REMEMBERED))
        self._places: dict[str, int] = {}

    async def open(self) -> None:
        """There is nothing to make ready."""

    async def check(self) -> None:
        """Nothing is shared."""

    async def admit(self, demand: Demand) -> Verdict:
        """Decide at once."""
        verdict = self.decide(demand)
        if verdict.refused_by is None:
            self.counts.admitted += 1
        else:
            self.counts.refused += 1
        return verdict

    def decide(self, demand: Demand) -> Verdict:
        """Take all that a demand asks for, or nothing."""
        second = int(self._clock())
        charged: list[Window] = []
        for charge in demand.charges:
            quota = charge.quota
            window = self._window(charge.key, second)
            window.slide(second, quota.seconds)
            left = quota.amount - window.used
            if charge.amount > left:
                retry_in = window.freed_in(second, quota.seconds, charge.amount - left)
                return Verdict((Balance(quota, max(0, left), retry_in),), quota, retry_in)
            charged.append(window)
        place = demand.place
        if place is not None:
            held = self._places.get(place.key, 0)
            if held >= place.quota.amount:
                return Verdict((), place.quota, 1)
            self._places[place.key] = held + 1
        balances = []
        for charge, window in zip(demand.charges, charged, strict=True):
            quota = charge.quota
            window.add(second, charge.amount)
            balances.append(Balance(quota, quota.amount - window.used, window.freed_in(second, quota.seconds)))
        return Verdict(tuple(balances))

    def withdraw(self, demand: Demand) -> None:
        """Give everything back."""
        second = int(self._clock())
        for charge in demand.charges:
            self._window(charge.key, second).give_back(charge.amount)
        self.release(demand)

    def release(self, demand: Demand) -> None:
        """Give the place back."""
        if demand.place is None:
            return
        key = demand.place.key
        held = self._places[key] - 1
        if held:
            self._places[key] = held
        else:
            del self._places[key]

    def held(self, key: str) -> int:
        """Return how many places a caller holds."""
        return self._places.get(key, 0)

    def places(self) -> Iterable[str]:
        """Return the keys of the callers that hold places."""
        return list(self._places)

    async def strike(self, key: str, penalty: Penalty) -> float:
        """Decide at once."""
        now = self._clock()
        failures, last = self._strikes_of(key, penalty, now)
        left = last + penalty.wait(failures) - now if failures else 0.0
        if left > 0:
            return left
        self._strikes.put(key, (failures + 1, now), int(now))
        return 0.0

    async def pardon(self, key: str, penalty: Penalty, *, all_of_them: bool) -> None:
        """Forget at once."""
        failures, last = self._strikes_of(key, penalty, self._clock())
        if all_of_them or failures <= 1:
            self._strikes.remove(key)
        else:
            self._strikes.put(key, (failures - 1, last), int(self._clock()))

    async def remember(self, key: str, member: str) -> None:
        """Remember at once."""
        now = self._clock()
        members = self._members.get(key, int(now)) or {}
        members.pop(member, None)
        while len(members) >= MOST_MEMBERS:
            del members[next(iter(members))]
        members[member] = now + MEMBER_SECONDS
        self._members.put(key, members, int(now))

    async def remembers(self, key: str, member: str) -> bool:
        """Decide at once."""
        now = self._clock()
        return (self._members.get(key, int(now)) or {}).get(member, now) > now

    async def aclose(self) -> None:
        """There is nothing open."""

    def _window(self, key: str, second: int) -> Window:
        window = self._windows.get(key, second)
        if window is None:
            window = Window()
            self._windows.put(key, window, second)
        return window

    def _strikes_of(self, key: str, penalty: Penalty, now: float) -> tuple[int, float]:
        failures, last = self._strikes.get(key, int(now)) or (0, now)
        return (failures, last) if now - last <= penalty.memory else (0, now)
