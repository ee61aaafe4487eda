"""What is measured is held against a budget at the speed at which the budget was set."""

import pytest

from benchmarks.budgets import REFERENCE_US, Budget
from benchmarks.results import Results

RESULTS = Results({})


@pytest.mark.parametrize(("slowness", "judged"), [(1, 300), (2, 150), (0.5, 600)])
def test_a_cost_shrinks_on_a_slow_machine(slowness: float, judged: float) -> None:
    budget = Budget("get", lambda _: 300, "µs", at_most=200, yardstick=lambda _: slowness * REFERENCE_US)
    assert budget.judged(RESULTS) == judged
    assert budget.met(judged) == (judged <= 200)


@pytest.mark.parametrize(("slowness", "judged"), [(1, 300), (2, 600), (0.5, 150)])
def test_a_rate_grows_on_a_slow_machine(slowness: float, judged: float) -> None:
    budget = Budget("create", lambda _: 300, "/s", at_least=200, yardstick=lambda _: slowness * REFERENCE_US)
    assert budget.judged(RESULTS) == judged
    assert budget.met(judged) == (judged >= 200)


def test_other_numbers_stay_as_they_are() -> None:
    assert Budget("memory", lambda _: 300, "MiB", at_most=200).judged(RESULTS) == 300


def test_nothing_is_judged_without_its_yardstick() -> None:
    assert Budget("get", lambda _: 300, "µs", at_most=200, yardstick=lambda _: None).judged(RESULTS) is None
    assert Budget("get", lambda _: None, "µs", at_most=200, yardstick=lambda _: 22).judged(RESULTS) is None
