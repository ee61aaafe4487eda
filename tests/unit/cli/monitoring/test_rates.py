"""Rates of counters that fall when a worker is started anew, and quantiles by Prometheus's own cases."""

import math

import pytest

from sarvanom.cli.monitoring.rates import Estimate, Trail, quantile, rates_between
from sarvanom.cli.monitoring.readings import Reading, Series

A: Series = ("a_total", "x")
B: Series = ("b_total",)


def reading(at: float, started: float = 1.0, **counters: float) -> Reading:
    names = {"a": A, "b": B}
    return Reading(at, started, {names[name]: value for name, value in counters.items()})


def test_what_a_counter_grew_is_divided_by_the_time() -> None:
    assert rates_between(reading(10, a=5, b=7), reading(14, a=13, b=7)) == {A: 2.0, B: 0.0}


def test_a_series_that_is_new_began_at_nothing() -> None:
    assert rates_between(reading(10, b=7), reading(12, a=4, b=7)) == {A: 2.0, B: 0.0}


def test_a_counter_that_fell_is_a_worker_that_counts_from_nothing() -> None:
    """Prometheus takes the new value for growth: `resets` and `rate`, promql/functions.go, extrapolatedRate."""
    assert rates_between(reading(10, a=100), reading(12, a=4)) == {A: 2.0}


def test_one_counter_that_fell_restarts_all_of_its_worker() -> None:
    """The other one has grown past what it was before, so that by itself it would not be seen to begin anew."""
    assert rates_between(reading(10, a=100, b=1), reading(12, a=4, b=3)) == {A: 2.0, B: 1.5}


def test_a_series_that_is_gone_is_a_restart_too() -> None:
    assert rates_between(reading(10, a=100, b=1), reading(12, b=3)) == {B: 1.5}


def test_another_start_is_a_restart_though_every_counter_has_grown() -> None:
    assert rates_between(reading(10, started=1, a=1), reading(12, started=11, a=6)) == {A: 3.0}


def test_no_time_has_no_rate() -> None:
    assert rates_between(reading(10, a=1), reading(10, a=6)) == {}


def test_workers_are_followed_each_by_itself() -> None:
    trail = Trail()
    assert trail.follow("u", {"0": reading(0, a=10), "1": reading(0, a=1000)}) is None
    # One of them grows by 20, the other one is started anew and counts to 6: by their sum it would have fallen.
    assert trail.follow("u", {"0": reading(2, a=30), "1": reading(2, started=2, a=6)}) == {A: 13.0}
    assert not trail.are_mixed


def test_a_worker_that_was_unreachable_once_is_measured_over_the_time_it_was_not_seen() -> None:
    trail = Trail()
    trail.follow("u", {"0": reading(0, a=0), "1": reading(0, a=0)})
    assert trail.follow("u", {"0": reading(2, a=2)}) == {A: 1.0}
    assert trail.follow("u", {"0": reading(4, a=4), "1": reading(4, a=8)}) == {A: 1.0 + 2.0}


def test_a_worker_that_was_never_seen_has_no_rate_yet() -> None:
    trail = Trail()
    trail.follow("u", {"0": reading(0, a=0)})
    assert trail.follow("u", {"0": reading(2, a=2), "1": reading(2, a=1_000_000)}) == {A: 1.0}


def test_the_same_worker_at_another_address_is_another_one() -> None:
    trail = Trail()
    trail.follow("u", {"0": reading(0, a=5)})
    assert trail.follow("v", {"0": reading(2, a=7)}) is None
    trail.keep(["v"])
    assert trail.follow("u", {"0": reading(4, a=7)}) is None
    assert trail.follow("v", {"0": reading(4, a=9)}) == {A: 1.0}


def test_an_older_process_in_a_newer_ones_place_is_told_from_a_restart() -> None:
    trail = Trail()
    trail.follow("u", {"0": reading(0, started=5, a=5)})
    assert trail.follow("u", {"0": reading(2, started=3, a=900)}) is None
    assert trail.are_mixed


# The histograms and their quantiles of prometheus/prometheus, promql/promqltest/testdata/histograms.test.
POSITIVE = {0.1: 50.0, 0.2: 70.0, 1.0: 110.0, math.inf: 120.0}
NEGATIVE = {-0.2: 10.0, -0.1: 20.0, 0.3: 20.0, math.inf: 30.0}
THIRDS = {0.0: 0.0, 2.0: 1.0, 4.0: 2.0, 6.0: 3.0, math.inf: 3.0}
FROM_ZERO = {0.0: 0.0, 0.1: 50.0, 0.2: 70.0, 1.0: 110.0, math.inf: 110.0}
EVERYTHING = {0.1: 10.0, 0.2: 19.0, math.inf: 25.0}
"""The four instances of `request_duration_seconds` together."""


@pytest.mark.parametrize(
    ("buckets", "q", "expected"),
    [
        (POSITIVE, 0.2, 0.048),
        (POSITIVE, 0.5, 0.15),
        (POSITIVE, 0.8, 0.72),
        (NEGATIVE, 0.2, -0.2),
        (NEGATIVE, 0.5, -0.15),
        (THIRDS, 1 / 6, 1),
        (THIRDS, 0.5, 3),
        (THIRDS, 5 / 6, 5),
        (FROM_ZERO, 0.25, 0.055),
        (FROM_ZERO, 0.5, 0.125),
        (FROM_ZERO, 0.75, 0.45),
        (FROM_ZERO, 1.0, 1.0),
        (EVERYTHING, 0.3, 0.075),
        (EVERYTHING, 0.5, 0.1277777777777778),
    ],
)
def test_quantiles_are_those_of_prometheus(buckets: dict[float, float], q: float, expected: float) -> None:
    found = quantile(q, buckets)
    assert found is not None
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert not found.is_beyond
    assert quantile(q, {bound: count / 7 for bound, count in buckets.items()}) == pytest.approx(found)
    assert quantile(q, dict(reversed(buckets.items()))) == found


@pytest.mark.parametrize(("buckets", "q", "bound"), [(POSITIVE, 1.0, 1.0), (NEGATIVE, 0.8, 0.3), (NEGATIVE, 1.0, 0.3)])
def test_a_quantile_in_the_last_bucket_is_more_than_the_bound_before(
    buckets: dict[float, float], q: float, bound: float
) -> None:
    assert quantile(q, buckets) == Estimate(bound, is_beyond=True)


@pytest.mark.parametrize(
    "buckets",
    [
        {},
        {math.inf: 5.0},
        {1.0: 5.0},
        {1.0: 5.0, 2.0: 5.0},
        {1.0: 0.0, math.inf: 0.0},
        {math.nan: 5.0, math.inf: 5.0},
    ],
    ids=str,
)
def test_there_is_no_quantile_of_nothing_nor_without_a_bucket_up_to_infinity(buckets: dict[float, float]) -> None:
    assert quantile(0.5, buckets) is None


def test_counts_that_fall_are_raised() -> None:
    """`ensureMonotonicAndIgnoreSmallDeltas` of promql/quantile.go; the case is `nonmonotonic_bucket` of its tests."""
    falling = {0.1: 2.0, 1.0: 1.0, 10.0: 5.0, 100.0: 4.0, 1000.0: 9.0, math.inf: 8.0}
    expected = {0.01: 0.0045, 0.5: 8.5, 0.99: 979.75}
    for q, value in expected.items():
        found = quantile(q, falling)
        assert found is not None
        assert found.value == pytest.approx(value)
