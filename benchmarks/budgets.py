"""The budgets of the project, in one place."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ratios import ratios
from benchmarks.results import Results, middle
from benchmarks.scenarios import CREATE, GET, LIST, Scenario

type Reading = Callable[[Results], float | None]
"""Takes one number out of the results; None if it was not measured."""

OURS, ON_POSTGRES, PLAIN = "sarvanom", "sarvanom-postgres", "plain"


@dataclass(frozen=True, slots=True)
class Budget:
    """A number that must not be passed."""

    name: str
    reading: Reading
    unit: str
    at_most: float | None = None
    at_least: float | None = None

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

    def met(self, measured: float) -> bool:
        """Whether a measured number keeps to the budget."""
        if self.at_most is not None:
            return measured <= self.at_most
        return self.at_least is not None and measured >= self.at_least


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


BUDGETS = (
    Budget("get-by-id, CPU of gateway and crud", _cpu(GET), "µs", at_most=180),
    Budget("list-50, CPU of gateway and crud", _cpu(LIST), "µs", at_most=280),
    Budget("create, CPU of gateway and crud", _cpu(CREATE), "µs", at_most=360),
    Budget("create, acknowledged", _per_second(CREATE), "/s", at_least=3500),
    Budget("get-by-id, CPU of plain over ours", _times_cheaper(GET), "x", at_least=15),
    Budget("idle memory of gateway and crud", _idle_memory, "MiB", at_most=180),
    Budget("up to first 200", _start_time, "s", at_most=2.5),
    Budget("PostgreSQL: get-by-id, CPU with the server", _cpu(GET, ON_POSTGRES), "µs", at_most=260),
    Budget("PostgreSQL: create, CPU with the server", _cpu(CREATE, ON_POSTGRES), "µs", at_most=480),
    Budget("PostgreSQL: create, acknowledged", _per_second(CREATE, ON_POSTGRES), "/s", at_least=2500),
    Budget("SQLite: large table over a thousand rows, worst", _worst_ratio("sqlite"), "x", at_most=1.5),
    Budget("PostgreSQL: large table over a thousand rows, worst", _worst_ratio("postgres"), "x", at_most=1.5),
    Budget("SQLite: bulk import", _bulk("sqlite"), "lines/s", at_least=15_000),
    Budget("limits in memory, CPU of a get", _limiter("memory", "get", 1), "µs", at_most=20),
    Budget("limits in Valkey, CPU of a get among 32", _limiter("valkey", "get", 32), "µs", at_most=45),
    Budget("edge, CPU it adds to a get", _edge("get"), "µs", at_most=60),
    Budget("edge, CPU it adds to a create of 500 bytes", _edge("create"), "µs", at_most=200),
    Budget("logs, metrics and traces, CPU they add to a get", _observing("get"), "µs", at_most=30),
    Budget("logs, metrics and traces, CPU they add to a create", _observing("create"), "µs", at_most=30),
    Budget("a trace that is not recorded, CPU a hop", _tracing_hop, "µs", at_most=15),
    Budget("watch, from write to another process, median", _fanout(1), "ms", at_most=50),
)
