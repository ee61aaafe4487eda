"""Fuzzes the services and their parsers for as long as it is told: `python -m tests.fuzz --minutes 10`.

Half of the time goes to raw requests over sockets, the rest to the parsers: under atheris if it is installed, else
under Hypothesis. It ends with 1, and the input, when anything fails.
"""

import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.drafts import bytes_like, requests
from tests.fuzz.parsers import TARGETS
from tests.fuzz.sockets import Judge
from tests.harness.system import running_system

AT_ONCE = 300
_runs = re.compile(r"stat::number_of_executed_units:\s*([0-9]+)").search


def explore(drafts: st.SearchStrategy[bytes], target: Callable[[bytes], Any], seconds: float, first_seed: int) -> int:
    """Feed the target with drafts until the time is over; return how many there were."""
    cases, number, end = 0, first_seed, time.monotonic() + seconds

    def case(data: bytes) -> None:
        nonlocal cases
        cases += 1
        target(data)

    while time.monotonic() < end:
        checks = list(HealthCheck)
        phases = (Phase.generate, Phase.shrink)
        bounded = settings(
            max_examples=AT_ONCE, deadline=None, database=None, suppress_health_check=checks, phases=phases
        )
        seed(number)(bounded(given(drafts)(case)))()
        number += 1
    return cases


def guide(name: str, seconds: float) -> int:
    """Feed a parser with what atheris finds until the time is over; return how many inputs there were."""
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "tests.fuzz.guided", name, f"-max_total_time={max(1, round(seconds))}")
        options = (f"-artifact_prefix={folder}/", "-max_len=4096")
        ended = subprocess.run((*command, *options), capture_output=True, text=True, check=False)
        found = [file.read_bytes() for file in Path(folder).iterdir()]
    said = ended.stdout + ended.stderr
    if ended.returncode or found:
        raise AssertionError(f"{name} fails for {found}:\n{said[-5000:]}")
    runs = _runs(said)
    return int(runs[1]) if runs else 0


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True)
@click.option("--seed", "first_seed", type=int, default=None, help="Of a run, which printed it, to be repeated.")
def main(minutes: float, first_seed: int | None) -> None:
    """Fuzz, and print what was done."""
    first_seed = secrets.randbelow(2**32) if first_seed is None else first_seed
    is_guided = find_spec("atheris") is not None
    seconds = minutes * 60 / 2
    print(f"seed {first_seed}; parsers under {'atheris' if is_guided else 'Hypothesis'}", flush=True)
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as system:
        judge = Judge(system)
        cases = explore(requests(), judge.send, seconds, first_seed)
        judge.check_log()
    statuses = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(judge.statuses.items()))
    print(f"sockets: {cases} requests to each of both services: {statuses}", flush=True)
    for name, target in TARGETS.items():
        share = seconds / len(TARGETS)
        cases = guide(name, share) if is_guided else explore(bytes_like, target, share, first_seed)
        print(f"{name}: {cases} inputs", flush=True)
    print(f"Nothing failed in {minutes:g} minutes.")


if __name__ == "__main__":
    main()
