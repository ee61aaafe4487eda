"""Requests as a screen shows them: of a service, and of each of its routes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sarvanom.cli.monitoring.monitor import Observed
from sarvanom.cli.monitoring.rates import Estimate, quantile
from sarvanom.cli.monitoring.readings import CPU, DURATIONS, IN_PROGRESS, MEMORY, REQUESTS

QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Traffic(NamedTuple):
    """Requests a second, the shares of them that were answered with 5xx and 4xx, and how long they took."""

    rate: float | None
    server_errors: float | None
    client_errors: float | None
    latencies: Sequence[Estimate | None]


class ServiceFigures(NamedTuple):
    """What a whole service does, and what it takes: cores of CPU, bytes of memory; None is not known."""

    traffic: Traffic
    in_flight: float | None
    cpu: float | None
    memory: float | None


NO_TRAFFIC: Final = Traffic(None, None, None, [None] * len(QUANTILES))


class _Counts:
    """Rates of requests by class of status, and of durations up to each bound."""

    def __init__(self) -> None:
        self.statuses: defaultdict[str, float] = defaultdict(float)
        self.buckets: defaultdict[float, float] = defaultdict(float)

    def traffic(self) -> Traffic:
        rate = sum(self.statuses.values())
        server_errors, client_errors = (self.statuses[name] / rate if rate else None for name in ("5xx", "4xx"))
        return Traffic(rate, server_errors, client_errors, [quantile(q, self.buckets) for q in QUANTILES.values()])


def figures_of(observed: Observed) -> ServiceFigures:
    """Return what is known of a service. Of what is in flight, the looks themselves are left out."""
    in_flight, memory = observed.gauge(IN_PROGRESS), observed.gauge(MEMORY)
    routes = _by_route(observed)
    whole = _Counts()
    for counts in routes.values():
        for status, rate in counts.statuses.items():
            whole.statuses[status] += rate
        for bound, rate in counts.buckets.items():
            whole.buckets[bound] += rate
    return ServiceFigures(
        NO_TRAFFIC if observed.rates is None else whole.traffic(),
        max(0.0, sum(in_flight) - observed.addresses) if in_flight else None,
        observed.rate(CPU),
        sum(memory) if memory else None,
    )


def busiest_routes(observed: Observed) -> list[tuple[str, Traffic]]:
    """Return the routes that were asked for at all, with their method, the busiest first."""
    found = [(f"{method} {route}", counts.traffic()) for (method, route), counts in _by_route(observed).items()]
    asked = [(name, traffic) for name, traffic in found if traffic.rate]
    return sorted(asked, key=lambda one: (-(one[1].rate or 0.0), one[0]))


def _by_route(observed: Observed) -> Mapping[tuple[str, str], _Counts]:
    routes: defaultdict[tuple[str, str], _Counts] = defaultdict(_Counts)
    for series, rate in (observed.rates or {}).items():
        match series:
            case (name, route, method, status) if name == REQUESTS:
                routes[method, route].statuses[status] += rate
            case (name, route, method, bound) if name == DURATIONS:
                routes[method, route].buckets[_number(bound)] += rate
    return routes


def _number(text: str) -> float:
    """Return a bucket's bound; what is no number is NaN, which no quantile regards."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
