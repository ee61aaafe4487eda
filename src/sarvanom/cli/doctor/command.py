"""`sarvanom doctor`: what is wrong with a running system, and what to do about it."""

import asyncio
import sys
from collections import Counter
from typing import Final

import click

from sarvanom.cli.clients import administrator_key, gateway_options, is_loopback, one_line, used_key
from sarvanom.cli.doctor.findings import Finding, Outcome
from sarvanom.cli.exits import NOT_WELL
from sarvanom.cli.options import load_settings
from sarvanom.cli.places import gateway_url
from sarvanom.settings import UpSettings

_COLOURS: Final = {Outcome.OK: "green", Outcome.PROBLEM: "red", Outcome.UNKNOWN: "yellow", Outcome.SKIPPED: None}
_OUTCOME_WIDTH: Final = 9
_CHECK_WIDTH: Final = 14


def _doctor(url: str, api_key: str | None) -> None:
    """Examine a running system from outside and by its settings, and say what to do about what is not right.

    It looks at ports, readiness, versions, clocks, workers, migrations, PostgreSQL's connections, revisions, API keys
    that end soon, the disk, and who may read the secrets' files. Exit status 0 if all is well, 1 if not, or if
    something could not be looked at. Of a gateway on another machine, nothing is looked at that only its own machine
    knows.
    """
    outcomes = asyncio.run(_run(url, api_key))
    problems, unknowns = outcomes[Outcome.PROBLEM], outcomes[Outcome.UNKNOWN]
    if not problems and not unknowns:
        click.echo("All is well.")
        return
    click.echo(f"{_count(problems, 'problem')}, {_count(unknowns, 'check')} that could not be made.")
    sys.exit(NOT_WELL)


async def _run(url: str, api_key: str | None) -> Counter[Outcome]:
    from sarvanom.cli.doctor.examination import Patient, examine  # help needs no clients and no database

    settings = load_settings(UpSettings, {}) if is_loopback(url) else None
    outcomes: Counter[Outcome] = Counter()
    patient = Patient(url, api_key or administrator_key(url), used_key(url, api_key), settings)
    async for finding in examine(patient):
        outcomes[finding.outcome] += 1
        _show(finding)
    return outcomes


def _show(finding: Finding) -> None:
    outcome = click.style(finding.outcome.ljust(_OUTCOME_WIDTH), fg=_COLOURS[finding.outcome])
    click.echo(f"{outcome}{finding.check.ljust(_CHECK_WIDTH)}{one_line(finding.found)}")
    if finding.advice:
        click.echo(f"{'':{_OUTCOME_WIDTH + _CHECK_WIDTH}}-> {one_line(finding.advice)}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


doctor_command: Final = click.Command(
    "doctor", params=[*gateway_options(gateway_url)], callback=_doctor, help=_doctor.__doc__
)
