"""Prometheus and a collector of traces say of a system, through faults, what those who called it have counted."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import pytest

from tests.harness.collector import SeenSpan
from tests.harness.prometheus import needs_prometheus, total
from tests.harness.promql import selectors, without_filters
from tests.harness.waiting import until
from tests.services.counted_load import Asked, Key
from tests.services.shown_queries import panels, rules
from tests.services.watched_system import (
    CLIENT,
    CRUD,
    GATEWAY,
    PATIENCE,
    SERVER,
    WatchedSystem,
    is_answered_hop,
    watched_system,
)

pytestmark = needs_prometheus

KEY = ("route", "method", "status_class")
BOTH = ("calm", "begun anew")
"""The loads during which nothing went wrong."""
OTHERS = 'route!~"/metrics|/ready"'
"""Requests that nobody but the load asks for."""
SECONDS = "sarvanom_http_request_duration_seconds"

type Period = tuple[float, float]
"""From when to when, in seconds since 1970."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedSystem]:
    with watched_system(tmp_path_factory.mktemp("watched")) as running:
        yield running


def asked_until(watched: WatchedSystem, last: str) -> list[Asked]:
    """Return what has been asked for from the first load to the end of one of them."""
    ended = watched.phases[last].ended
    return [one for phase in watched.phases.values() if phase.ended <= ended for one in phase.load.asked]


def whole(counts: Mapping[Key, float]) -> dict[Key, float]:
    return {key: count for key, count in counts.items() if count}


def at_crud(watched: WatchedSystem, period: Period, labels: str = OTHERS) -> dict[tuple[str, ...], float]:
    """Return what crud has answered, by route, method and class of status."""
    return total(watched.prometheus.gained(f'sarvanom_http_requests_total{{job="{CRUD}",{labels}}}', *period), KEY)


@pytest.mark.parametrize("phase", ["calm", "begun anew", "faults"])
def test_the_gateway_has_counted_what_was_asked(watched: WatchedSystem, phase: str) -> None:
    """It has never been restarted, so that the counters themselves are what was asked for since it began."""
    asked = asked_until(watched, phase)
    expected = dict(Counter(one.key for one in asked))
    ended = watched.phases[phase].ended

    def counted(metric: str, labels: str = OTHERS) -> dict[tuple[str, ...], float]:
        expression = f'sum by (route, method, status_class) ({metric}{{job="{GATEWAY}",{labels}}})'
        return watched.prometheus.by(KEY, expression, ended)

    assert counted("sarvanom_http_requests_total") == expected
    assert counted(f"{SECONDS}_count") == expected
    assert counted(f"{SECONDS}_bucket", f'{OTHERS},le="+Inf"') == expected
    sizes: Counter[Key] = Counter()
    for one in asked:
        sizes[one.key] += one.size
    assert counted("sarvanom_http_response_body_bytes_total") == whole(sizes)
    failed = {"5xx"} if phase == "faults" else set()
    assert {status_class for _, _, status_class in expected} == {"2xx", "3xx", "4xx"} | failed


@pytest.mark.parametrize("last", BOTH)
def test_crud_has_counted_what_it_was_asked(watched: WatchedSystem, last: str) -> None:
    """Also when a worker has begun again from 0, since it had been scraped after its last request."""
    period = watched.phases["calm"].began, watched.phases[last].ended
    expected = dict(Counter(one.key_at_crud for one in asked_until(watched, last) if one.reaches_crud))
    assert at_crud(watched, period, 'route!~"/metrics|/ready|/authenticate"') == expected
    assert attempts(watched, period) == dict(classes(at_crud(watched, period)))


def test_a_worker_that_was_begun_anew_is_a_reset(watched: WatchedSystem) -> None:
    """Of a counter that grows with time."""
    since = watched.phases["begun anew"].ended - watched.phases["calm"].began
    resets = f'resets(sarvanom_event_loop_lag_seconds_count{{job="{CRUD}"}}[{since:.0f}s])'
    seen = watched.prometheus.query(f"{resets} > 0", watched.phases["begun anew"].ended)
    assert list(seen.values()) == [1.0]


def test_what_a_killed_worker_did_since_its_last_scrape_is_all_that_is_lost(watched: WatchedSystem) -> None:
    """crud has counted less than the gateway was answered: at most what was under way since then."""
    load, began, ended = watched.phases["faults"]
    [kill] = [kill for kill in watched.kills if kill.at > began]
    unknown = [one for one in load.asked if one.ended > kill.scraped and one.began < kill.at]
    answered = attempts(watched, (began, ended))
    counted = classes(at_crud(watched, (began, ended)))
    lost = {name: count - counted[name] for name, count in answered.items()}
    assert all(count >= 0 for count in lost.values()), lost
    assert sum(lost.values()) <= 2 * len(unknown)  # of each what was asked for, and whose the key is


def attempts(watched: WatchedSystem, period: Period) -> dict[str, float]:
    """Return how many requests crud has answered the gateway, by class of status."""
    gained = watched.prometheus.gained('sarvanom_upstream_attempts_total{outcome=~".xx"}', *period)
    return {outcome: count for (outcome,), count in total(gained, ["outcome"]).items()}


def classes(counts: Mapping[tuple[str, ...], float]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, _, status_class), count in counts.items():
        found[status_class] += int(count)
    return found


def test_decisions_are_counted_as_they_were_answered(watched: WatchedSystem) -> None:
    def gained(metric: str, phase: str = "calm", **labels: str) -> float:
        _, began, ended = watched.phases[phase]
        chosen = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return sum(watched.prometheus.gained(f"{metric}{{{chosen}}}", began, ended).values())

    calm = watched.phases["calm"].load
    rounds = calm.count(401) / 2
    for credential in ("none", "token"):
        refused = {"credential": credential, "outcome": "refused"}
        assert gained("sarvanom_authentications_total", **refused) == rounds
    hits = sum(one.key == ("/cache/{key}", "GET", "2xx") for one in calm.asked)
    for outcome in ("hit", "miss"):
        assert gained("sarvanom_cache_lookups_total", outcome=outcome) == hits == rounds
    writes = sum(one.is_write for one in calm.asked)
    assert gained("sarvanom_store_commit_writes_sum") >= writes > 0  # crud also keeps house
    for name, phase in watched.phases.items():
        blocked = {"family": "sqli", "profile": "strict", "action": "block"}
        assert gained("sarvanom_inspection_findings_total", name, **blocked) == phase.load.count(403) > 0
        refused = {"decision": "refused", "quota": "bulk", "route_class": "bulk"}
        assert gained("sarvanom_limit_decisions_total", name, **refused) == phase.load.count(429) > 0
        assert gained("sarvanom_unhandled_errors_total", name) == 0
        assert gained("sarvanom_http_requests_aborted_total", name) == 0


def test_the_database_was_seen_to_be_away_and_to_be_back(watched: WatchedSystem) -> None:
    _, began, ended = watched.phases["faults"]
    for function, value in (("min", 0), ("last", 1)):
        expression = f"{function}_over_time(sarvanom_store_available[{ended - began:.0f}s])"
        assert set(watched.prometheus.query(expression, ended).values()) == {float(value)}
    retried = watched.prometheus.gained('sarvanom_upstream_retries_total{reason="answer"}', began, ended)
    assert sum(retried.values()) > 0


def traces(watched: WatchedSystem) -> dict[str, list[SeenSpan]]:
    """Return the spans of each trace, once each request of the loads has its own at the gateway."""
    asked = asked_until(watched, "faults")

    def served() -> set[str]:
        return {span.trace_id for span in list(watched.collector.spans) if is_request(span, "gateway")}

    until(lambda: served() >= {one.trace_id for one in asked}, PATIENCE)
    found: defaultdict[str, list[SeenSpan]] = defaultdict(list)
    for span in list(watched.collector.spans):
        found[span.trace_id].append(span)
    return found


def is_request(span: SeenSpan, service: str) -> bool:
    return (span.service, span.kind) == (service, SERVER)


def test_each_request_has_one_span_at_the_gateway(watched: WatchedSystem) -> None:
    """And so the spans say the same numbers."""
    found = traces(watched)
    for one in asked_until(watched, "faults"):
        [span] = [span for span in found[one.trace_id] if is_request(span, "gateway")]
        assert span.parent_id == one.span_id
        named = one.method if one.key[1] != "other" else "HTTP"
        assert span.name == (named if one.route == "unmatched" else f"{named} {one.route}")
        assert span.attributes["http.response.status_code"] == one.status
        assert span.is_error == (one.status >= 500)


def test_a_trace_joins_gateway_crud_and_statements(watched: WatchedSystem) -> None:
    found = traces(watched)
    for phase in BOTH:
        for one in watched.phases[phase].load.asked:
            check_trace(one, found[one.trace_id])


def check_trace(one: Asked, spans: list[SeenSpan]) -> None:
    """Each span is part of what the one before it is: the request, a hop to crud, its request there, a statement."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    statements = set()
    for span in spans:
        if is_request(span, "gateway"):
            continue
        outer = by_id[span.parent_id]
        assert outer.began <= span.began
        if span.service == "gateway":
            assert is_answered_hop(span)
            assert is_request(outer, "gateway")
        elif span.kind == SERVER:
            assert is_answered_hop(outer)
            for name in ("http.request.method", "http.response.status_code"):
                assert span.attributes[name] == outer.attributes[name]
        else:
            assert span.kind == CLIENT
            assert is_request(outer, "crud")
            assert span.attributes["db.system.name"] == "postgresql"
            statements.add(outer.span_id)
    assert sum(span.name.startswith("COMMIT ") for span in spans) == one.is_write
    served = [span for span in spans if is_request(span, "crud") and span.name != "POST /authenticate"]
    assert len(served) == one.reaches_crud
    for span in served:
        route, method, _ = one.key_at_crud
        assert span.name == f"{method} {route}"
        assert span.attributes["http.response.status_code"] == one.status
        assert span.span_id in statements


def test_an_answer_without_the_database_is_an_error_on_the_whole_way(watched: WatchedSystem) -> None:
    found = traces(watched)
    failed = [one for one in watched.phases["faults"].load.asked if one.status == 503]
    ways = [
        [span for span in found[one.trace_id] if span.attributes.get("http.response.status_code") == 503]
        for one in failed
    ]
    assert all(span.is_error for way in ways for span in way)
    whole_way = {("gateway", SERVER), ("gateway", CLIENT), ("crud", SERVER)}
    assert any({(span.service, span.kind) for span in way} == whole_way for way in ways)


def test_exemplars_lead_to_traces(watched: WatchedSystem) -> None:
    """What was asked of a worker of crud alone may be lost with it."""
    began, ended = watched.phases["calm"].began, watched.phases["faults"].ended
    found = traces(watched)
    for job in (GATEWAY, CRUD):
        exemplars = watched.prometheus.exemplars(f'{SECONDS}_bucket{{job="{job}",{OTHERS}}}', began, ended)
        assert len({one["labels"]["trace_id"] for one in exemplars}) > 20
        for one in exemplars:
            series, spans = one["series"], found[one["labels"]["trace_id"]]
            assert float(one["value"]) <= float(series["le"])
            routes = {span.attributes.get("http.route", "unmatched") for span in spans if is_request(span, "gateway")}
            assert series["route"] in routes | ({"/authenticate"} if job == CRUD else set())


def test_prometheus_has_nothing_to_complain_of(watched: WatchedSystem) -> None:
    """Such as samples or exemplars that are out of order, or there twice."""
    assert watched.prometheus.log.read_text() == ""


def test_all_rules_are_loaded_and_healthy(watched: WatchedSystem) -> None:
    found = watched.prometheus.rules()
    assert sorted(rule["name"] for rule in found) == sorted(rule.place for rule in rules())
    assert {rule["health"]: rule.get("lastError") for rule in found} == {"ok": None}


def test_every_rule_has_data(watched: WatchedSystem, subtests: pytest.Subtests) -> None:
    """With what its comparisons say, instead of what they keep."""
    for rule in rules():
        with subtests.test(rule.place):
            check_data(watched, without_filters(rule.expression))


def test_every_panel_has_data(watched: WatchedSystem, subtests: pytest.Subtests) -> None:
    for panel in panels():
        with subtests.test(panel.place):
            check_data(watched, panel.expression)


def check_data(watched: WatchedSystem, expression: str) -> None:
    """Check that the expression has a value, and that each metric in it is there."""
    found = watched.prometheus.query(expression, watched.ended)
    assert [value for value in found.values() if not math.isnan(value)], expression
    named = [one.text for one in selectors(expression)]
    assert named, expression
    for selector in named:
        if selector.startswith("ALERTS{"):
            continue  # Prometheus's own, which is there while an alert fires
        assert watched.prometheus.query(selector, watched.ended), selector
