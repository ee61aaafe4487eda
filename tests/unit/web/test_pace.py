"""The pace of a reader: what counts, and from when."""

from contextlib import suppress

import pytest

from sarvanom.web.pace import Pace


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(10, 60, clock)


def wait(pace: Pace, clock: Clock, seconds: float, size: int) -> bool:
    with pace.waiting(size):
        clock.now += seconds
    return pace.is_kept


def test_nothing_is_asked_of_a_reader_in_its_time_of_grace(pace: Pace, clock: Clock) -> None:
    assert pace.is_kept
    assert [wait(pace, clock, 20, 0) for _ in range(4)] == [True, True, True, False]


def test_the_average_counts(pace: Pace, clock: Clock) -> None:
    assert wait(pace, clock, 100, 1_000)
    assert not wait(pace, clock, 0.01, 0)
    assert wait(pace, clock, 0, 1)


def test_time_in_which_nobody_waits_for_the_reader_does_not_count(pace: Pace, clock: Clock) -> None:
    clock.now += 10_000
    assert wait(pace, clock, 60, 0)


def test_what_is_broken_off_was_not_taken(pace: Pace, clock: Clock) -> None:
    with suppress(TimeoutError), pace.waiting(10_000):
        raise TimeoutError
    assert not wait(pace, clock, 61, 600)
