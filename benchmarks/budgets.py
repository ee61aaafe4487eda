"""The budgets of the project, in one place.

Those of whole requests hold for a machine on which the yardstick costs `REFERENCE_US`, as it did where they were set,
and that of imports for one on which SQLite alone stores `REFERENCE_ROWS` a second: what is measured is taken to that
speed by what the same rounds say of the machine. What a request may cost is the sum of what it may cost by itself and
of what the edge and observing may add to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.ratios import ratios
from benchmarks.results import SQLITE_ALONE, Results, middle
from benchmarks.scenarios import CREATE, GET, LIST, Scenario

type Reading = Callable[[Results], float | None]
"""Takes one number out of the results; None if it was not measured."""

OURS, ON_POSTGRES, PLAIN, YARDSTICK = "sarvanom", "sarvanom-postgres", "plain", "yardstick"
REFERENCE_US: Final = 22.0
"""CPU of the yardstick per request."""
REFERENCE_ROWS: Final = 31_600
"""Rows a second that SQLite alone stores of an import, with all that an import adds to them."""
EDGE_OF_GET_US, EDGE_OF_CREATE_US, OBSERVING_US = 60, 200, 30


@dataclass(frozen=True, slots=True)
class Budget:
    """A number that must not be passed."""

    name: str
    reading: Reading
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    slowness: Reading | None = None
    """How many times slower than the reference the machine was, if what is measured is to be taken to its speed."""

    def __post_init__(self) -> None:
        """Refuse a budget without a limit, or with two."""
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.name}: one of at_most and at_least")

    @property
    def limit(self) -> str:
        """The budget in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:,g} {self.unit}"
        return f"at least {self.at_least:,g} {self.unit}"

    def judged(self, results: Results) -> float | None:
        """Return what is held against the limit; None if it was not measured."""
        measured = self.reading(results)
        if measured is None or self.slowness is None:
            return measured
        slowness = self.slowness(results)
        if slowness is None:
            return None
        return measured / slowness if self.at_most is not None else measured * slowness

    def met(self, judged: float) -> bool:
        """Whether what was measured, at the speed that counts, keeps to the budget."""
        if self.at_most is not None:
            return judged <= self.at_most
        return self.at_least is not None and judged >= self.at_least


def _cpu(scenario: Scenario, system: str = OURS) -> Reading:
    return lambda results: middle(each.total_us for each in results.of(system, scenario.name))


def _per_second(scenario: Scenario, system: str = OURS) -> Reading:
    return lambda results: middle(each.per_second for each in results.of(system, scenario.name))


def _times_cheaper(scenario: Scenario) -> Reading:
    def ratio(results: Results) -> float | None:
        plain, ours = _cpu(scenario, PLAIN)(results), _cpu(scenario)(results)
        return plain / ours if plain and ours else None

    return ratio


def _idle_memory(results: Results) -> float | None:
    return middle(each.total_mib for each in results.starts_of(OURS))


def _start_time(results: Results) -> float | None:
    return middle(each.health_s for each in results.starts_of(OURS))


def _worst_ratio(database: str) -> Reading:
    return lambda results: max((each.ratio for each in ratios(results, database)), default=None)


def _bulk(database: str) -> Reading:
    return lambda results: middle(each.per_second for each in results.bulk if each.database == database)


def _storing_slowness(results: Results) -> float | None:
    rows = _bulk(SQLITE_ALONE)(results)
    return REFERENCE_ROWS / rows if rows else None


def _fanout(watchers: int) -> Reading:
    return lambda results: middle(each.p50_ms for each in results.fanout if each.watchers == watchers)


def _limiter(store: str, case: str, at_once: int) -> Reading:
    def cost(results: Results) -> float | None:
        key = (store, case, at_once)
        return middle(each.cpu_us for each in results.limiter if (each.store, each.case, each.at_once) == key)

    return cost


def _edge(case: str) -> Reading:
    return lambda results: middle(each.total_us for each in results.edge if each.case == case)


def _observing(case: str) -> Reading:
    return lambda results: middle(
        each.total_us for each in results.observing if (each.what, each.case) == ("everything", case)
    )


def _tracing_hop(results: Results) -> float | None:
    return middle(max(each.gateway_us, each.crud_us) for each in results.observing if each.what == "traces")


def _slowness(scenario: Scenario) -> Reading:
    def slowness(results: Results) -> float | None:
        yardstick = _cpu(scenario, YARDSTICK)(results)
        return yardstick / REFERENCE_US if yardstick else None

    return slowness


def _whole(name: str, scenario: Scenario, system: str, at_most: float) -> Budget:
    """Bound what a request may cost; observing comes on top of what is given."""
    return Budget(name, _cpu(scenario, system), "µs", at_most=at_most + OBSERVING_US, slowness=_slowness(scenario))


def _durable(name: str, system: str) -> Budget:
    return Budget(name, _per_second(CREATE, system), "/s", at_least=2500, slowness=_slowness(CREATE))


BUDGETS = (
    _whole("get-by-id, CPU of gateway and crud", GET, OURS, 180 + EDGE_OF_GET_US),
    _whole("list-50, CPU of gateway and crud", LIST, OURS, 280 + EDGE_OF_GET_US),
    _whole("create, CPU of gateway and crud", CREATE, OURS, 360 + EDGE_OF_CREATE_US),
    _durable("create, acknowledged", OURS),
    Budget("get-by-id, CPU of plain over ours", _times_cheaper(GET), "x", at_least=15),
    Budget("idle memory of gateway and crud", _idle_memory, "MiB", at_most=180),
    Budget("up to first 200", _start_time, "s", at_most=2.5),
    _whole("PostgreSQL: get-by-id, CPU with the server", GET, ON_POSTGRES, 260 + EDGE_OF_GET_US),
    _whole("PostgreSQL: create, CPU with the server", CREATE, ON_POSTGRES, 480 + EDGE_OF_CREATE_US),
    _durable("PostgreSQL: create, acknowledged", ON_POSTGRES),
    Budget("SQLite: large table over a thousand rows, worst", _worst_ratio("sqlite"), "x", at_most=1.5),
    Budget("PostgreSQL: large table over a thousand rows, worst", _worst_ratio("postgres"), "x", at_most=1.5),
    Budget("SQLite: bulk import", _bulk("sqlite"), "lines/s", at_least=15_000, slowness=_storing_slowness),
    Budget("limits in memory, CPU of a get", _limiter("memory", "get", 1), "µs", at_most=20),
    Budget("limits in Valkey, CPU of a get among 32", _limiter("valkey", "get", 32), "µs", at_most=45),
    Budget("edge, CPU it adds to a get", _edge("get"), "µs", at_most=EDGE_OF_GET_US),
    Budget("edge, CPU it adds to a create of 500 bytes", _edge("create"), "µs", at_most=EDGE_OF_CREATE_US),
    Budget("logs, metrics and traces, CPU they add to a get", _observing("get"), "µs", at_most=OBSERVING_US),
    Budget("logs, metrics and traces, CPU they add to a create", _observing("create"), "µs", at_most=OBSERVING_US),
    Budget("a trace that is not recorded, CPU a hop", _tracing_hop, "µs", at_most=15),
    Budget("watch, from write to another process, median", _fanout(1), "ms", at_most=50),
)
