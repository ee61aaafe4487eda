"""What is read of the text that services write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.cli.monitoring.readings import (
    CACHE_LOOKUPS,
    COUNTERS,
    CPU,
    DURATIONS,
    GAUGES,
    MEMORY,
    REQUESTS,
    parse_scrape,
)
from sarvanom.observability.exposition import PROCESS, UNREACHABLE
from sarvanom.observability.metrics import Metrics
from sarvanom.shared.observations import CacheRead, RequestServed, tell
from sarvanom.shared.trace_context import RequestNotes
from tests.unit.cli.monitoring.exposed import exposed


def happen() -> None:
    for status in (200, 200, 404):
        tell(RequestServed("GET", "/users", status, 0.003, 10, False, None, "", RequestNotes("r"), None))
    tell(CacheRead("hit"))


def test_what_workers_say_is_kept_apart() -> None:
    scrape = parse_scrape(exposed("crud", happen, workers=[0, 2]), 7.5)
    assert scrape.service == "crud"
    assert sorted(scrape.workers) == ["0", "2"]
    for reading in scrape.workers.values():
        assert reading.at == 7.5
        assert reading.started > 1_000_000_000
        assert reading.counters[REQUESTS, "/users", "GET", "2xx"] == 2
        assert reading.counters[REQUESTS, "/users", "GET", "4xx"] == 1
        # Buckets of durations are those of all statuses together.
        assert reading.counters[DURATIONS, "/users", "GET", "0.0025"] == 0
        assert reading.counters[DURATIONS, "/users", "GET", "0.005"] == 3
        assert reading.counters[DURATIONS, "/users", "GET", "+Inf"] == 3
        assert reading.counters[CACHE_LOOKUPS, "hit"] == 1
        assert reading.counters[(CPU,)] > 0
        assert reading.gauges[(MEMORY,)] > 2**20


def test_nothing_is_read_that_services_do_not_say() -> None:
    """A name or a label that was changed there is noticed here."""
    families = {
        name: (family.type, set(family.label_names))
        for service in ("gateway", "crud")
        for metrics in [Metrics(service)]
        for name, family in zip(metrics.names, metrics.all, strict=True)
    }
    for types, named in ((("counter", "histogram"), COUNTERS), (("gauge",), GAUGES)):
        for name, labels in named.items():
            if name in (*PROCESS, UNREACHABLE):
                continue
            family = name if name in families else name.rpartition("_")[0]
            type, known = families[family]
            assert type in types, name
            assert set(labels) - {"le"} <= known, name


def test_what_is_not_known_is_not_kept() -> None:
    text = exposed("crud") + 'rogue_total{worker="0"} 5\nsarvanom_http_requests_total{route="/x"} 9\n'
    (reading,) = parse_scrape(text, 0).workers.values()
    assert {series[0] for series in (*reading.counters, *reading.gauges)} <= {*COUNTERS, *GAUGES}
    assert not [series for series in reading.counters if "/x" in series]  # of no worker


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_left_out(value: str) -> None:
    text = exposed("crud") + f'sarvanom_http_requests_total{{worker="0",route="/x",method="GET"}} {value}\n'
    (reading,) = parse_scrape(text, 0).workers.values()
    assert not [series for series in reading.counters if "/x" in series]


@pytest.mark.parametrize(
    "text", ["", "<html></html>", "up 1\n", '{"a": 1}', 'sarvanom_build_info{service="crud"} 1\n', "a{b=", "# EOF\n"]
)
def test_what_is_no_service_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_scrape(text, 0)


@given(st.text(alphabet='sarvanom_{}="\\ #1.\n,\x1b+eNa', max_size=60), st.integers(0, 400))
def test_no_text_is_anything_but_read_or_refused(inserted: str, place: int) -> None:
    whole = 'sarvanom_build_info{service="crud",worker="0"} 1\nsarvanom_store_revision{worker="0"} 5\n'
    for text in (inserted, whole[:place] + inserted + whole[place:]):
        try:
            scrape = parse_scrape(text, 0)
        except ValueError:
            continue
        assert scrape.workers
