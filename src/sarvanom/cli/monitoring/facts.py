"""What is to be said of the store, of watchers, of the cache and of what goes wrong: a line each."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sarvanom.cli.clients import one_line
from sarvanom.cli.monitoring.figures import UNKNOWN, counted, per_second, percent, size, whole
from sarvanom.cli.monitoring.monitor import Observed, Snapshot
from sarvanom.cli.monitoring.readings import (
    AUTHENTICATIONS,
    CACHE_BYTES,
    CACHE_ENTRIES,
    CACHE_LOOKUPS,
    COMMITS,
    COMMITTED_WRITES,
    LIMIT_DECISIONS,
    REVISION,
    STORE_AVAILABLE,
    UNREACHABLE,
    UPSTREAM_HEALTHY,
    WATCH_LAG,
    WATCHERS,
)


class Fact(NamedTuple):
    """A few words, and whether they tell of something that is wrong."""

    text: str
    is_wrong: bool = False


type Line = tuple[str, Sequence[Fact]]
"""What facts are about, and the facts."""


def facts_of(snapshot: Snapshot) -> list[Line]:
    """Return everything that is to be said beside the requests; of a service that is away there are dashes."""
    gateway, crud = snapshot.gateway, snapshot.crud
    return [
        ("store", [*_store(crud), *_commits(crud, snapshot.changes)]),
        ("watch", _watch(crud)),
        ("cache", _cache(crud)),
        ("upstream", [*_upstream(gateway)]),
        ("refused", _refused(gateway)),
        ("workers", [_workers(gateway), _workers(crud)]),
    ]


def _store(crud: Observed) -> Iterator[Fact]:
    available = crud.gauge(STORE_AVAILABLE)
    if not available:
        yield Fact(UNKNOWN)
    elif all(available):
        yield Fact("available")
    elif any(available):
        yield Fact(f"available to {sum(map(bool, available))} of {len(available)} workers", is_wrong=True)
    else:
        yield Fact("unavailable", is_wrong=True)
    yield Fact(f"revision {whole(max(crud.gauge(REVISION), default=None))}")


def _commits(crud: Observed, changes: float | None) -> Iterator[Fact]:
    commits, writes = crud.rate(COMMITS), crud.rate(COMMITTED_WRITES)
    yield Fact(f"{per_second(changes)} changes/s")
    yield Fact(f"{per_second(commits)} commits/s")
    yield Fact(f"{f'{writes / commits:.1f}' if commits and writes is not None else UNKNOWN} writes/commit")


def _watch(crud: Observed) -> list[Fact]:
    watchers, lag = crud.gauge(WATCHERS), crud.gauge(WATCH_LAG)
    if not watchers:
        return [Fact(UNKNOWN)]
    behind = max(lag, default=0.0)
    return [
        Fact(counted(sum(watchers), "watcher", "watchers")),
        Fact(f"slowest {counted(behind, 'revision', 'revisions')} behind"),
    ]


def _cache(crud: Observed) -> list[Fact]:
    hits, lookups = crud.rate(CACHE_LOOKUPS, "hit"), crud.rate(CACHE_LOOKUPS)
    entries, bytes_ = crud.gauge(CACHE_ENTRIES), crud.gauge(CACHE_BYTES)
    return [
        Fact(f"{percent(hits / lookups if lookups and hits is not None else None)} hits"),
        Fact(f"{per_second(lookups)} reads/s"),
        Fact(f"{whole(max(entries, default=None))} entries"),
        Fact(size(max(bytes_, default=None))),
    ]


def _upstream(gateway: Observed) -> Iterator[Fact]:
    """Tell of instances that every worker of the gateway sends requests to; it knows of them once it has sent one."""
    healthy: dict[str, bool] = {}
    for reading in gateway.readings:
        for series, value in reading.gauges.items():
            if series[0] == UPSTREAM_HEALTHY:
                healthy[series[1]] = healthy.get(series[1], True) and bool(value)
    if not healthy:
        yield Fact(UNKNOWN)
        return
    well = sum(healthy.values())
    yield Fact(f"{well} of {counted(len(healthy), 'instance', 'instances')} healthy", is_wrong=well < len(healthy))
    for instance, is_well in sorted(healthy.items()):
        if not is_well:
            yield Fact(f"not {one_line(instance)}", is_wrong=True)


def _refused(gateway: Observed) -> list[Fact]:
    limits = gateway.rate(LIMIT_DECISIONS, "refused")
    refused, unavailable = (gateway.rate(AUTHENTICATIONS, outcome) for outcome in ("refused", "unavailable"))
    facts = [
        Fact(f"by limits {per_second(limits)}/s", is_wrong=bool(limits)),
        Fact(f"by authentication {per_second(refused)}/s", is_wrong=bool(refused)),
    ]
    if unavailable:
        facts.append(Fact(f"not authenticated, as crud was away {per_second(unavailable)}/s", is_wrong=True))
    return facts


def _workers(observed: Observed) -> Fact:
    if not observed.readings:
        return Fact(f"{observed.service} {UNKNOWN}")
    unreachable = sum(observed.gauge(UNREACHABLE))
    there = f"{observed.service} {len(observed.readings)}"
    return Fact(f"{there}, {unreachable:.0f} unreachable" if unreachable else there, is_wrong=bool(unreachable))
