"""From what counters said twice to rates, and from the buckets of a histogram to quantiles."""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from sarvanom.cli.monitoring.readings import Reading, Series


def rates_between(before: Reading, now: Reading) -> dict[Series, float]:
    """Return how much each counter of a worker grew, per second.

    A worker that was started anew counts from 0 again: its start is another, or any of its counters has fallen. Then
    all that they say now is taken for growth, as Prometheus's `rate` does it for each series by itself. A series that
    was not there before was 0.
    """
    seconds = now.at - before.at
    if seconds <= 0:
        return {}
    is_restarted = now.started != before.started or any(
        now.counters.get(series, 0.0) < value for series, value in before.counters.items()
    )
    known = {} if is_restarted else before.counters
    return {series: (value - known.get(series, 0.0)) / seconds for series, value in now.counters.items()}


class Trail:
    """Remembers what workers said last; each has a name that tells it from all others."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Reading] = {}
        self.are_mixed = False
        """Whether an older process has answered in a newer one's place: several take turns at one address."""

    def follow(self, url: str, workers: Mapping[str, Reading]) -> dict[Series, float] | None:
        """Return the rates of all workers of an address together; None if none of them was there before."""
        found: list[dict[Series, float]] = []
        for worker, now in workers.items():
            before = self._last.get((url, worker))
            self._last[url, worker] = now
            if before is None:
                continue
            if now.started < before.started:
                self.are_mixed = True
                continue
            found.append(rates_between(before, now))
        return add_up(found) if found else None

    def keep(self, urls: Iterable[str]) -> None:
        """Forget every other address."""
        kept = frozenset(urls)
        self._last = {place: reading for place, reading in self._last.items() if place[0] in kept}


def add_up(found: Iterable[Mapping[Series, float]]) -> dict[Series, float]:
    """Return the sums of series."""
    total: dict[Series, float] = {}
    for one in found:
        for series, value in one.items():
            total[series] = total.get(series, 0.0) + value
    return total


class Estimate(NamedTuple):
    """A quantile: what it is about, or if it `is_beyond` all bounds, the last of them, which it exceeds."""

    value: float
    is_beyond: bool = False


def quantile(q: float, buckets: Mapping[float, float]) -> Estimate | None:
    """Return the quantile `q`, 0 < q <= 1, of what is counted up to each bound of `buckets`; None if nothing is.

    By the rules of Prometheus's `histogram_quantile` for classic histograms (`BucketQuantile` in promql/quantile.go):
    what is in a bucket is taken to be spread evenly over it, the lowest begins at 0 if its bound is above that, counts
    that fall are raised to those before them, and without a bucket up to infinity there is no answer.
    """
    bounds = sorted(bound for bound in buckets if not math.isnan(bound))
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return None
    counts: list[float] = []
    for bound in bounds:
        counts.append(max(buckets[bound], counts[-1] if counts else 0.0))
    if counts[-1] <= 0:
        return None
    rank = q * counts[-1]
    if rank <= counts[0]:
        return Estimate(bounds[0] if bounds[0] <= 0 else bounds[0] * rank / counts[0])
    for (low, below), (high, up_to) in pairwise(zip(bounds[:-1], counts[:-1], strict=True)):
        if rank <= up_to:
            return Estimate(low + (high - low) * (rank - below) / (up_to - below))
    return Estimate(bounds[-2], is_beyond=True)
