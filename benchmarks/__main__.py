"""Command line: `python -m benchmarks`."""

import json
import logging
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import click

from benchmarks import report, report_parts
from benchmarks.driver import Driver, find_wrk
from benchmarks.machine import describe
from benchmarks.parts.base import Bench, Part
from benchmarks.parts.bulk import Bulk
from benchmarks.parts.edge import Edge
from benchmarks.parts.limiter import Limiter
from benchmarks.parts.observing import Observing
from benchmarks.parts.pgbench import Pgbench
from benchmarks.parts.table import Table
from benchmarks.parts.watch import Watch
from benchmarks.results import Results
from benchmarks.run import Run
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.steps import Steps
from benchmarks.systems.base import System
from benchmarks.systems.plain import Plain
from benchmarks.systems.pocketbase import PocketBase
from benchmarks.systems.sarvanom import SarvanOM, SarvanOMPostgres
from benchmarks.systems.yardstick import Yardstick

SYSTEMS: tuple[type[System], ...] = (SarvanOM, SarvanOMPostgres, Plain, PocketBase, Yardstick)
PARTS: tuple[type[Part], ...] = (Table, Bulk, Watch, Pgbench, Limiter, Edge, Observing)
NAMES = [*(each.name for each in SYSTEMS), *(each.name for each in SCENARIOS), *(each.name for each in PARTS)]

OVER_BUDGET, NOT_RUN = 1, 2


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be measured."""

    systems: list[System]
    scenarios: list[Scenario]
    parts: list[Part]

    @property
    def need_wrk(self) -> bool:
        """Whether any of it is driven by wrk."""
        return bool(self.systems) or any(part.needs_wrk for part in self.parts)


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="Length of one round.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds; medians are reported.")
@click.option("--connections", type=click.IntRange(1), default=32, show_default=True)
@click.option(
    "--only", multiple=True, type=click.Choice(NAMES), help="A system, a scenario or a part; may be repeated."
)
@click.option("--rows", type=click.IntRange(1000), default=1_000_000, show_default=True, help="Of the large table.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where databases go.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every round here.")
def main(
    *,
    seconds: int,
    rounds: int,
    connections: int,
    only: tuple[str, ...],
    rows: int,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Measure what a request costs; exit 1 if a budget is missed, 2 if something could not be run."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, _give_up)
    signal.signal(signal.SIGINT, _give_up)
    chosen = _chosen(only)
    wrk = find_wrk()
    if wrk is None and chosen.need_wrk:
        click.echo("benchmarks: wrk is not installed (Debian: apt-get install wrk)", err=True)
        sys.exit(NOT_RUN)
    with tempfile.TemporaryDirectory(prefix="sarvanom-bench-", dir=folder, ignore_cleanup_errors=True) as work:
        path = Path(work)
        path.chmod(0o711)  # where this runs as root, PostgreSQL runs as nobody, and must reach its folder below
        results = Results(describe(path))
        steps = Steps(results, lambda text: click.echo(text, err=True))
        if wrk is not None and chosen.systems:
            driver = Driver(wrk, connections=connections, seconds=seconds)
            run = Run(results, path, driver, rounds=rounds, steps=steps)
            run.measure_starts(chosen.systems)
            run.measure_load(chosen.systems, chosen.scenarios)
        bench = Bench(results, path, steps, seconds, rounds, connections, rows, wrk)
        for part in chosen.parts:
            part.measure(bench)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(results), indent=1) + "\n")
    sys.exit(_show(results, chosen, rows))


def _show(results: Results, chosen: Chosen, rows: int) -> int:
    out = report.console()
    names = [system.name for system in chosen.systems]
    report.print_machine(out, results)
    if names:
        report.print_starts(out, results, names)
        report.print_load(out, results, names, chosen.scenarios)
    report_parts.print_parts(out, results, rows)
    kept = report.print_verdicts(out, results)
    report.print_failures(out, results)
    if results.failures:
        return NOT_RUN
    return 0 if kept else OVER_BUDGET


def _chosen(only: tuple[str, ...]) -> Chosen:
    """Take what is named; of a load, what is not said is all."""
    parts = [part() for part in PARTS if part.name in only or not only]
    systems = [system() for system in SYSTEMS if system.name in only]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in only]
    if only and not systems and not scenarios:
        return Chosen([], [], parts)
    if systems and not any(isinstance(system, Yardstick) for system in systems):
        systems.append(Yardstick())
    return Chosen(systems or [system() for system in SYSTEMS], scenarios or list(SCENARIOS), parts)


def _give_up(number: int, _frame: FrameType | None) -> None:
    click.echo(f"benchmarks: stopped by signal {number}", err=True)
    sys.exit(NOT_RUN)


if __name__ == "__main__":
    main()
