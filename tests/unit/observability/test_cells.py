"""Cells: what they count, and how they are exposed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Reference

from sarvanom.observability.cells import SECONDS, Counted, Counter, Gauge, Histogram


@given(st.lists(st.floats(0, 20) | st.sampled_from(SECONDS)))
def test_a_histogram_is_what_the_clients_own_would_be(values: list[float]) -> None:
    registry = CollectorRegistry()
    reference = Reference("seconds", "meaning", ["route"], registry=registry, buckets=SECONDS)
    ours = Histogram("seconds", "meaning", ["route"])
    for value in values:
        reference.labels("/x").observe(value)
        ours.cell("/x").add(value)
    (family,) = registry.collect()
    expected = {(one.name, *one.labels.items()): one.value for one in family.samples if "_created" not in one.name}
    found = {(f"seconds{one.suffix}", *one.labels.items()): one.value for one in ours.samples()}
    assert set(found) == set(expected) if values else not found
    assert {key: found[key] for key in found} == pytest.approx({key: expected[key] for key in found})


def test_a_cell_is_found_again_by_its_labels() -> None:
    counter = Counter("things", "meaning", ["kind", "outcome"])
    counter.cell("a", "b").value += 2
    counter.cell("a", "b").value += 1
    counter.cell("a", "c").value += 1
    assert [(one.suffix, one.labels, one.value) for one in counter.samples()] == [
        ("_total", {"kind": "a", "outcome": "b"}, 3),
        ("_total", {"kind": "a", "outcome": "c"}, 1),
    ]


def test_a_gauge_is_exposed_as_it_is_called() -> None:
    gauge = Gauge("level", "meaning")
    gauge.cell().value = 7
    assert [(one.suffix, one.labels, one.value) for one in gauge.samples()] == [("", {}, 7)]


def test_a_counter_can_be_that_of_a_histogram() -> None:
    histogram = Histogram("seconds", "meaning", ["route"])
    counted = Counted("things", "meaning", histogram)
    for value in (0.1, 0.2, 99.0):
        histogram.cell("/x").add(value)
    assert [one.value for one in counted.samples()] == [3]
