"""What is measured is held against a budget at the speed at which the budget was set."""

import pytest

from benchmarks.budgets import BUDGETS, REFERENCE_ROWS, Budget
from benchmarks.results import SQLITE_ALONE, BulkImport, Results

RESULTS = Results({})


@pytest.mark.parametrize(("slowness", "judged"), [(1, 300), (2, 150), (0.5, 600)])
def test_a_cost_shrinks_on_a_slow_machine(slowness: float, judged: float) -> None:
    budget = Budget("get", lambda _: 300, "µs", at_most=200, slowness=lambda _: slowness)
    assert budget.judged(RESULTS) == judged
    assert budget.met(judged) == (judged <= 200)


@pytest.mark.parametrize(("slowness", "judged"), [(1, 300), (2, 600), (0.5, 150)])
def test_a_rate_grows_on_a_slow_machine(slowness: float, judged: float) -> None:
    budget = Budget("create", lambda _: 300, "/s", at_least=200, slowness=lambda _: slowness)
    assert budget.judged(RESULTS) == judged
    assert budget.met(judged) == (judged >= 200)


def test_other_numbers_stay_as_they_are() -> None:
    assert Budget("memory", lambda _: 300, "MiB", at_most=200).judged(RESULTS) == 300


def test_nothing_is_judged_if_the_speed_of_the_machine_is_not_known() -> None:
    assert Budget("get", lambda _: 300, "µs", at_most=200, slowness=lambda _: None).judged(RESULTS) is None
    assert Budget("get", lambda _: None, "µs", at_most=200, slowness=lambda _: 1).judged(RESULTS) is None


@pytest.mark.parametrize("slowness", [1, 2])
def test_an_import_is_set_against_what_sqlite_alone_did(slowness: float) -> None:
    results = Results({})
    results.bulk.append(BulkImport("sqlite", 60_000, 4 * slowness, {}))
    results.bulk.append(BulkImport(SQLITE_ALONE, REFERENCE_ROWS, slowness, {}))
    [budget] = [each for each in BUDGETS if "bulk import" in each.name]
    assert budget.judged(results) == pytest.approx(15_000)
