"""What the large table costs over the small one."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import Results, middle


@dataclass(frozen=True, slots=True)
class Ratio:
    """One case on both tables of a database: medians of the CPU per request, in microseconds."""

    case: str
    small_us: float
    large_us: float

    @property
    def ratio(self) -> float:
        """How many times as much the large table costs."""
        return self.large_us / self.small_us


def ratios(results: Results, database: str) -> Iterator[Ratio]:
    """Compare the two systems whose names end in the numbers of their rows."""
    names = {each.system for each in results.measurements if each.system.startswith(f"crud {database} ")}
    if len(names) < 2:
        return
    small, large = sorted(names, key=lambda name: int(name.rpartition(" ")[2]))
    for case in dict.fromkeys(each.scenario for each in results.measurements if each.system == small):
        small_us, large_us = (middle(each.total_us for each in results.of(name, case)) for name in (small, large))
        if small_us and large_us:
            yield Ratio(case, small_us, large_us)
