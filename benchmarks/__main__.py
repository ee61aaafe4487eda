"""Command line: `python -m benchmarks`."""

import json
import logging
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from benchmarks import report
from benchmarks.driver import Driver, find_wrk
from benchmarks.machine import describe
from benchmarks.results import Results
from benchmarks.run import Run
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.systems.base import System
from benchmarks.systems.plain import Plain
from benchmarks.systems.pocketbase import PocketBase
from benchmarks.systems.sarvanom import SarvanOM
from benchmarks.systems.yardstick import Yardstick

SYSTEMS: tuple[type[System], ...] = (SarvanOM, Plain, PocketBase, Yardstick)
NAMES = [*(system.name for system in SYSTEMS), *(scenario.name for scenario in SCENARIOS)]

OVER_BUDGET, NOT_RUN = 1, 2


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="Length of one round.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds; medians are reported.")
@click.option("--connections", type=click.IntRange(1), default=32, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="A system or a scenario; may be repeated.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where databases go.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every round here.")
def main(
    *,
    seconds: int,
    rounds: int,
    connections: int,
    only: tuple[str, ...],
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Measure what a request costs; exit 1 if a budget is missed, 2 if something could not be run."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, _give_up)
    signal.signal(signal.SIGINT, _give_up)
    wrk = find_wrk()
    if wrk is None:
        click.echo("benchmarks: wrk is not installed (Debian: apt-get install wrk)", err=True)
        sys.exit(NOT_RUN)
    systems, scenarios = _chosen(only)
    with tempfile.TemporaryDirectory(prefix="sarvanom-bench-", dir=folder, ignore_cleanup_errors=True) as work:
        results = Results(describe(Path(work)))
        driver = Driver(wrk, connections=connections, seconds=seconds)
        run = Run(results, Path(work), driver, rounds=rounds, say=lambda text: click.echo(text, err=True))
        run.measure_starts(systems)
        run.measure_load(systems, scenarios)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(results), indent=1) + "\n")
    sys.exit(_show(results, systems, scenarios))


def _show(results: Results, systems: list[System], scenarios: list[Scenario]) -> int:
    out = report.console()
    names = [system.name for system in systems]
    report.print_machine(out, results)
    report.print_starts(out, results, names)
    report.print_load(out, results, names, scenarios)
    kept = report.print_verdicts(out, results)
    report.print_failures(out, results)
    if results.failures:
        return NOT_RUN
    return 0 if kept else OVER_BUDGET


def _chosen(only: tuple[str, ...]) -> tuple[list[System], list[Scenario]]:
    systems = [system() for system in SYSTEMS if system.name in only]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in only]
    if systems and not any(isinstance(system, Yardstick) for system in systems):
        systems.append(Yardstick())
    return systems or [system() for system in SYSTEMS], scenarios or list(SCENARIOS)


def _give_up(number: int, _frame: FrameType | None) -> None:
    click.echo(f"benchmarks: stopped by signal {number}", err=True)
    sys.exit(NOT_RUN)


if __name__ == "__main__":
    main()
