"""What a snapshot looks like: whole, narrow, short, and with names that somebody has made up to do harm."""

import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sarvanom.cli.monitoring.monitor import Observed, Problem, Snapshot
from sarvanom.cli.monitoring.readings import (
    AUTHENTICATIONS,
    CACHE_BYTES,
    CACHE_ENTRIES,
    CACHE_LOOKUPS,
    COMMITS,
    COMMITTED_WRITES,
    CPU,
    DURATIONS,
    IN_PROGRESS,
    LIMIT_DECISIONS,
    MEMORY,
    REQUESTS,
    REVISION,
    STORE_AVAILABLE,
    UNREACHABLE,
    UPSTREAM_HEALTHY,
    WATCH_LAG,
    WATCHERS,
    Reading,
    Series,
)
from sarvanom.cli.monitoring.screen import Screen

AWAY = Observed("crud", problems=[Problem("crud", "http://c", "The service cannot be reached", "12:00:00")])


def worker(**gauges: float) -> Reading:
    names = {
        "in_progress": IN_PROGRESS,
        "memory": MEMORY,
        "available": STORE_AVAILABLE,
        "revision": REVISION,
        "entries": CACHE_ENTRIES,
        "bytes": CACHE_BYTES,
        "watchers": WATCHERS,
        "lag": WATCH_LAG,
        "unreachable": UNREACHABLE,
    }
    return Reading(0, gauges={(names[name],): value for name, value in gauges.items()})


def requests(route: str, rate: float, status: str = "2xx", seconds: str = "0.01") -> dict[Series, float]:
    durations: dict[Series, float] = {
        (DURATIONS, route, "GET", bound): rate if float(bound) >= float(seconds) else 0.0
        for bound in ("0.005", "0.01", "0.1", "+Inf")
    }
    return {(REQUESTS, route, "GET", status): rate, **durations}


def gateway(rates: dict[Series, float] | None = None, *, healthy: tuple[float, ...] = (1, 1)) -> Observed:
    instances: dict[Series, float] = {
        (UPSTREAM_HEALTHY, f"http://c{number}"): value for number, value in enumerate(healthy)
    }
    one = worker(in_progress=4, memory=100 * 2**20, unreachable=0)
    one.gauges |= instances
    return Observed("gateway", [one, worker(in_progress=1, memory=28 * 2**20)], rates, 1)


def crud(rates: dict[Series, float] | None = None, **gauges: float) -> Observed:
    given = {"in_progress": 1, "memory": 2**30, "available": 1, "revision": 1234, "watchers": 2, "lag": 1, **gauges}
    return Observed("crud", [worker(**given), worker(**{**given, "revision": 1230, "lag": 0})], rates, 1)


def drawn(snapshot: Snapshot, width: int = 100, height: int | None = None) -> list[str]:
    return [line.plain for line in Screen(snapshot, is_live=False).lines(width, height)]


def line_of(lines: list[str], label: str) -> str:
    (found,) = [line for line in lines if line.split()[:1] == [label]]
    return " ".join(found.split())


def snapshot(front: Observed | None = None, back: Observed | None = None, changes: float | None = None) -> Snapshot:
    return Snapshot("12:34:56", 2.0, front or gateway({}), back or crud({}), changes)


def test_requests_of_a_service_are_those_of_all_routes_and_workers() -> None:
    rates = {
        **requests("/users", 30.0),
        **requests("/cache", 10.0, "5xx", "0.1"),
        (REQUESTS, "/users", "GET", "4xx"): 0.0,
        (CPU,): 0.75,
    }
    lines = drawn(snapshot(gateway(rates)))
    # In flight are 4 and 1 of which one is the look itself; 30 of 40 took 5 to 10 ms, 10 of them 10 to 100.
    assert line_of(lines, "gateway") == "gateway 40 4 25 % 0.0 % 8.3 ms 82 ms 96 ms 75 % 128 MiB"
    routes = lines[next(number for number, line in enumerate(lines) if line.startswith("routes of gateway")) :]
    assert [line.split()[:3] for line in routes[1:3]] == [["GET", "/users", "30"], ["GET", "/cache", "10"]]
    assert routes[2].split()[3:5] == ["100", "%"]
    assert "estimate" in routes[3]


def test_what_is_not_known_is_a_dash_and_not_nothing() -> None:
    lines = drawn(Snapshot("12:34:56", None, gateway(None), crud(None), None))
    assert line_of(lines, "gateway") == "gateway – 4 – – – – – – 128 MiB"  # noqa: RUF001 (the dash that is printed)
    assert "rates come with the next look" in lines[0]
    assert not any("routes" in line for line in lines)
    lines = drawn(snapshot())
    assert line_of(lines, "gateway").startswith("gateway 0.0 4 – – – – – 0.0 %")  # noqa: RUF001 (the dash that is printed)


def test_the_store_the_cache_and_watchers_are_told_of() -> None:
    rates: dict[Series, float] = {
        (COMMITS,): 4.0,
        (COMMITTED_WRITES,): 10.0,
        (CACHE_LOOKUPS, "hit"): 3.0,
        (CACHE_LOOKUPS, "miss"): 1.0,
    }
    lines = drawn(snapshot(back=crud(rates, entries=7, bytes=2048), changes=9.0))
    assert (
        line_of(lines, "store")
        == "store available · revision 1,234 · 9.0 changes/s · 4.0 commits/s · 2.5 writes/commit"
    )
    assert line_of(lines, "watch") == "watch 4 watchers · slowest 1 revision behind"
    assert line_of(lines, "cache") == "cache 75 % hits · 4.0 reads/s · 7 entries · 2.0 KiB"


@pytest.mark.parametrize(
    ("available", "said"),
    [((1.0, 1.0), "available ·"), ((1.0, 0.0), "available to 1 of 2 workers ·"), ((0.0, 0.0), "unavailable ·")],
)
def test_a_store_that_is_away_is_said_to_be(available: tuple[float, float], said: str) -> None:
    back = Observed("crud", [worker(available=value, revision=5) for value in available], {}, 1)
    assert line_of(drawn(snapshot(back=back)), "store").startswith(f"store {said}")


def test_an_instance_that_any_worker_finds_unwell_is_named() -> None:
    front = gateway({}, healthy=(1, 0))
    assert line_of(drawn(snapshot(front)), "upstream") == "upstream 1 of 2 instances healthy · not http://c1"
    assert line_of(drawn(snapshot()), "upstream") == "upstream 2 of 2 instances healthy"


def test_what_is_refused_and_who_is_unreachable_is_told_of() -> None:
    rates: dict[Series, float] = {
        (LIMIT_DECISIONS, "refused"): 2.0,
        (LIMIT_DECISIONS, "admitted"): 100.0,
        (AUTHENTICATIONS, "refused"): 3.0,
        (AUTHENTICATIONS, "unavailable"): 4.0,
        (AUTHENTICATIONS, "proven"): 100.0,
    }
    lines = drawn(snapshot(gateway(rates), crud({}, unreachable=1)))
    assert line_of(lines, "refused") == (
        "refused by limits 2.0/s · by authentication 3.0/s · not authenticated, as crud was away 4.0/s"
    )
    assert line_of(lines, "workers") == "workers gateway 2 · crud 2, 2 unreachable"


def test_a_service_that_is_away_is_said_to_be_and_the_other_one_shown() -> None:
    lines = drawn(snapshot(gateway(requests("/users", 1.0)), AWAY))
    assert "crud at http://c is away since 12:00:00: The service cannot be reached" in lines
    assert line_of(lines, "gateway").startswith("gateway 1.0 4 ")
    front = Observed("gateway", problems=[Problem("gateway", "http://g", "No", "1", True)])
    lines = drawn(snapshot(front, crud(requests("/users", 5.0))))
    assert "gateway at http://g may not be read: No" in lines
    assert any(line.startswith("routes of crud") for line in lines)


def test_processes_that_take_turns_are_told_of() -> None:
    front = Observed("gateway", gateway().readings, {}, 1, are_mixed=True)
    assert any("take turns at this address" in line for line in drawn(snapshot(front), 200))


EVIL = [
    "[bold red]x[/]",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "a\nb\r\tc",
    "\u202eevil",
    "\x9b31m",
    "[/]",
    "日本語の道" * 20,
]


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_names_do_nothing_to_a_terminal(evil: str, is_terminal: bool) -> None:
    front = gateway(requests(evil, 3.0))
    front.readings[0].gauges[UPSTREAM_HEALTHY, evil] = 0.0
    back = Observed("crud", problems=[Problem("crud", evil, evil, "12:00:00")])
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=90, height=40)
    console.print(Screen(snapshot(front, back), is_live=is_terminal))
    text = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue()) if is_terminal else written.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text)
    if evil.startswith("["):
        assert f"GET {evil}" in text  # as it is, not as markup
        assert f"not {evil}" in text
        assert f"crud at {evil} is away" in text


MANY = {
    series: rate for number in range(30) for series, rate in requests(f"/things-{number}/{{id}}", 31.0 - number).items()
}
BUSY = snapshot(
    gateway({**MANY, (CPU,): 12.5, **requests("/slow", 12_345.0, "5xx", "+Inf")}, healthy=(1, 0, 0)),
    Observed(
        "crud", crud({}).readings, {}, 1, [Problem("crud", "http://c2", "The service cannot be reached", "1:2:3")]
    ),
    123.4,
)


@given(st.integers(1, 130), st.integers(1, 60))
def test_it_fits_whatever_there_is(width: int, height: int) -> None:
    lines = drawn(BUSY, width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("SarvanOM"[: width - 1])
    if height >= 24 and width >= 80:
        assert any(line.startswith("routes of gateway") for line in lines)
        assert "GET /slow" in "\n".join(lines)
        assert len(lines) >= min(height - 3, 40)  # as many routes as there is room for


@given(st.integers(14, 130))
def test_no_number_is_cut_off(width: int) -> None:
    rows, whole = drawn(BUSY, width), drawn(BUSY, 200)
    for label, below in (("gateway", 0), ("routes of gat", 1), ("routes of gat", 2)):
        row, complete = (
            lines[next(number for number, line in enumerate(lines) if line.startswith(label)) + below]
            for lines in (rows, whole)
        )
        name, cut, numbers = row.partition("…")
        assert complete.startswith(name) or not cut  # it is the name that was cut
        assert set((numbers if cut else row).split()) <= set(complete.split())


def test_without_a_height_everything_is_shown() -> None:
    lines = drawn(BUSY, 160)
    assert sum(line.startswith("GET /things") for line in lines) == 30
    assert sum(line == "" for line in lines) == 3


def test_a_latency_beyond_the_last_bucket_is_more_than_its_bound() -> None:
    (row,) = [line for line in drawn(BUSY, 160) if line.startswith("GET /slow")]
    assert row.split()[-6:] == [">100", "ms"] * 3
    assert math.isfinite(float(row.split()[2].replace(",", "")))
