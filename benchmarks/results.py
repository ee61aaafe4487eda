"""What was measured, and the medians of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.driver import Measurement


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one system, alone, in an empty folder."""

    system: str
    health_s: float
    answer_s: float
    pss_mib: dict[str, float]
    """Idle memory, by role."""
    total_mib: float
    """Its sum over the roles that count."""


SQLITE_ALONE: Final = "sqlite alone"
"""The limit of imports, among their databases."""


@dataclass(frozen=True, slots=True)
class BulkImport:
    """One import into an empty store."""

    database: str
    lines: int
    seconds: float
    cpu_us: dict[str, float]
    """CPU microseconds per line, by role."""

    @property
    def per_second(self) -> float:
        """Lines per second, all of them created."""
        return self.lines / self.seconds


@dataclass(frozen=True, slots=True)
class Fanout:
    """Writes at a steady rate to one process, and their arrival at the watchers of another."""

    watchers: int
    writes: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU microseconds of the watched process per event sent."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One run of pgbench, whose case is called like ours."""

    scenario: str
    per_second: float
    cpu_us: float
    """CPU microseconds of the server per transaction."""


@dataclass(frozen=True, slots=True)
class LimiterCost:
    """What the limits added to a request."""

    store: str
    case: str
    at_once: int
    cpu_us: float
    """CPU microseconds of the gateway per request."""
    server_us: float
    """CPU microseconds of Valkey per request."""


@dataclass(frozen=True, slots=True)
class EdgeCost:
    """What the guards at the edge of both services added to a request, in CPU microseconds."""

    case: str
    gateway_us: float
    crud_us: float

    @property
    def total_us(self) -> float:
        """Both together."""
        return self.gateway_us + self.crud_us


@dataclass(frozen=True, slots=True)
class ObservingCost:
    """What logs, metrics and traces added to a request, in CPU microseconds: everything, or traces alone."""

    what: str
    case: str
    gateway_us: float
    crud_us: float

    @property
    def total_us(self) -> float:
        """Both services together."""
        return self.gateway_us + self.crud_us


@dataclass(slots=True)
class Results:
    """Everything that one run of the benchmark found."""

    machine: dict[str, str]
    starts: list[Start] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    bulk: list[BulkImport] = field(default_factory=list)
    fanout: list[Fanout] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    limiter: list[LimiterCost] = field(default_factory=list)
    edge: list[EdgeCost] = field(default_factory=list)
    observing: list[ObservingCost] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """By system or part: why it could not be measured."""

    def of(self, system: str, scenario: str) -> list[Measurement]:
        """Return the rounds of one system in one scenario."""
        return [each for each in self.measurements if (each.system, each.scenario) == (system, scenario)]

    def starts_of(self, system: str) -> list[Start]:
        """Return the starts of one system."""
        return [each for each in self.starts if each.system == system]


def middle(values: Iterable[float]) -> float | None:
    """Take the median; None of nothing."""
    found = list(values)
    return median(found) if found else None


def middle_by_role(rounds: Iterable[dict[str, float]]) -> dict[str, float]:
    """Take the median for each role."""
    found = list(rounds)
    return {role: median(each[role] for each in found) for role in (found[0] if found else ())}
