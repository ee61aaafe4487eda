"""The tables and verdicts that a run prints."""

import sys

from rich.console import Console
from rich.table import Table

from benchmarks.budgets import BUDGETS
from benchmarks.results import Results, middle, middle_by_role
from benchmarks.scenarios import Scenario

WIDTH = 150
"""Wide enough for every column where no terminal says otherwise."""


def console() -> Console:
    """Open where the report goes; never narrower than its tables when piped."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)


def print_machine(out: Console, results: Results) -> None:
    """Print one line about the machine."""
    out.print(", ".join(f"{name} {value}" for name, value in results.machine.items()), markup=False)


def print_starts(out: Console, results: Results, systems: list[str]) -> None:
    """Print start time and idle memory."""
    table = Table(title="start in an empty folder, and memory when idle (median)", title_justify="left")
    for heading in ("system", "first 200 s", "first list s", "PSS MiB per process", "counted MiB"):
        table.add_column(heading, justify="left" if heading.startswith(("system", "PSS")) else "right", overflow="fold")
    for system in systems:
        starts = results.starts_of(system)
        table.add_row(
            system,
            number(middle(each.health_s for each in starts), 2),
            number(middle(each.answer_s for each in starts), 2),
            by_role(middle_by_role(each.pss_mib for each in starts)),
            number(middle(each.total_mib for each in starts), 1),
        )
    out.print(table)


def print_load(out: Console, results: Results, systems: list[str], scenarios: list[Scenario]) -> None:
    """Print CPU, throughput and latency of every scenario."""
    table = Table(title="under load (median of the rounds)", title_justify="left")
    headings = ("scenario", "system", "CPU µs per request and process", "sum", "range", "x yardstick")
    for heading in (*headings, "requests/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading in headings[:3] else "right", overflow="fold")
    for scenario in scenarios:
        least = middle(each.total_us for each in results.of("yardstick", scenario.name))
        for system in systems:
            rounds = results.of(system, scenario.name)
            sums = [each.total_us for each in rounds]
            total = middle(sums)
            table.add_row(
                scenario.name,
                system if system != "yardstick" else "yardstick (hello)",
                by_role(middle_by_role(each.cpu_us for each in rounds)),
                number(total, 0),
                f"{min(sums):.0f} to {max(sums):.0f}" if sums else "-",
                number(total / least if total and least else None, 1),
                number(middle(each.per_second for each in rounds), 0),
                number(middle(each.p50_ms for each in rounds), 2),
                number(middle(each.p99_ms for each in rounds), 2),
            )
        table.add_section()
    out.print(table)


def print_verdicts(out: Console, results: Results) -> bool:
    """Print one line per budget; tell whether all that were measured are kept."""
    table = Table(title="budgets", title_justify="left")
    for heading in ("budget", "limit", "measured", "at the reference's speed", "verdict"):
        table.add_column(heading, overflow="fold")
    kept = True
    for budget in BUDGETS:
        measured, judged = budget.reading(results), budget.judged(results)
        if measured is None or judged is None:
            table.add_row(budget.name, budget.limit, "-", "-", "not measured")
            continue
        met = budget.met(judged)
        kept = kept and met
        at_speed = "-" if budget.slowness is None else f"{judged:,.4g} {budget.unit}"
        verdict = "ok" if met else "[bold red]over"
        table.add_row(budget.name, budget.limit, f"{measured:,.4g} {budget.unit}", at_speed, verdict)
    out.print(table)
    return kept


def print_failures(out: Console, results: Results) -> None:
    """Say what could not be measured, and why."""
    for system, reason in results.failures.items():
        out.print(f"{system} could not be measured: {reason}", style="bold red", markup=False)


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def by_role(values: dict[str, float]) -> str:
    return "  ".join(f"{role} {value:.0f}" for role, value in values.items()) or "-"
