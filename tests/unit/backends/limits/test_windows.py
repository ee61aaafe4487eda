"""Windows and what is remembered of whom, in memory."""

from hypothesis import given
from hypothesis import strategies as st

from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.backends.limits.windows import Recent, Window
from sarvanom.shared.quotas import Charge, Demand, Penalty, Quota
from tests.contracts.limits.clock import Clock

PENALTY = Penalty(free=3)


def test_what_is_taken_comes_back_when_its_second_has_left_the_window() -> None:
    window = Window()
    window.add(100, 3)
    window.add(100, 1)
    window.add(105, 2)
    window.slide(160, 60)
    assert (window.used, window.freed_in(160, 60), window.freed_in(160, 60, 5)) == (6, 1, 6)
    window.slide(161, 60)
    assert (window.used, window.freed_in(161, 60)) == (2, 5)
    window.slide(166, 60)
    assert (window.used, window.freed_in(166, 60)) == (0, 0)


def test_more_than_was_ever_taken_takes_a_whole_window_to_come_back() -> None:
    window = Window()
    window.add(100, 1)
    assert window.freed_in(130, 60, 2) == 61


def test_a_clock_that_goes_back_loses_nothing() -> None:
    window = Window()
    window.add(100, 1)
    window.add(90, 1)
    window.slide(160, 60)
    assert window.used == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5))), st.integers(0, 60))
def test_what_is_given_back_is_the_newest(taken: list[tuple[int, int]], back: int) -> None:
    window = Window()
    second, units = 0, []
    for pause, amount in taken:
        second += pause
        window.add(second, amount)
        units += [second] * amount
    window.give_back(back)
    left = units[: max(0, len(units) - back)]
    assert window.used == len(left)
    for moment in range(second + 62):
        window.slide(moment, 60)
        assert window.used == sum(unit >= moment - 60 for unit in left)


def test_what_nobody_asks_for_is_forgotten() -> None:
    recent = Recent[str](60, 100)
    recent.put("asked for", "a", 0)
    recent.put("left", "b", 0)
    for second in range(0, 400, 20):
        assert recent.get("asked for", second) == "a"
    assert recent.get("left", 400) is None
    assert len(recent) == 1


def test_what_was_asked_for_in_time_is_known() -> None:
    recent = Recent[str](60, 100)
    for begun in (0, 13, 59, 60, 61):
        recent.put("key", "value", begun)
        assert recent.get("key", begun + 60) == "value"
        recent.remove("key")
        assert recent.get("key", begun + 60) is None


def test_there_are_never_more_values_than_were_allowed() -> None:
    recent = Recent[int](60, 100)
    for number in range(10_000):
        recent.put(str(number), number, 0)
        recent.get("0", 0)
        assert len(recent) <= 100
    assert recent.get("0", 0) == 0
    assert [recent.get(str(number), 0) for number in range(9_990, 10_000)] == list(range(9_990, 10_000))


async def test_a_flood_of_callers_takes_no_more_memory_and_frees_nobody_who_keeps_asking() -> None:
    store = MemoryLimits(Clock(), most=200)
    quota = Quota("ten", 10)
    admitted = 0
    for number in range(5000):
        await store.admit(Demand((Charge(quota, f"stranger {number}"),)))
        if number % 50 == 0:
            admitted += (await store.admit(Demand((Charge(quota, "known"),)))).refused_by is None
    assert len(store._windows) <= 200
    assert admitted == 10
    for number in range(5000):
        await store.pardon(f"stranger {number}", PENALTY, all_of_them=False)
        await store.strike(f"stranger {number}", PENALTY)
    assert len(store._strikes) <= 200
