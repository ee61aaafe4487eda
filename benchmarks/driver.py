"""Drive one system with wrk and take the CPU time it needed."""

import itertools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import MeasurementFailed
from benchmarks.instance import Instance
from benchmarks.scenarios import CREATE, GET, Scenario
from benchmarks.users import check_created

SCRIPTS = Path(__file__).with_name("wrk")
ERRORS = ("refused", "connect", "read", "write", "timeout")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one scenario against one system."""

    system: str
    scenario: str
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """CPU microseconds per request, by role."""
    total_us: float
    """Their sum over the roles that count."""

    @property
    def per_second(self) -> float:
        """Requests per second, all of them answered 2xx."""
        return self.requests / self.seconds


class Driver:
    """wrk with one thread and a fixed number of connections."""

    def __init__(self, wrk: str, *, connections: int, seconds: int) -> None:
        """Take the path of wrk, and how hard and how long to drive."""
        self._wrk_path = wrk
        self._connections = connections
        self._seconds = seconds
        self._runs = itertools.count(1)

    def warm_up(self, instance: Instance, scenario: Scenario) -> None:
        """Run for a second, so that pools are open and code is loaded."""
        self._run(instance, scenario, seconds=1)

    def measure(self, instance: Instance, scenario: Scenario, seconds: int | None = None) -> Measurement:
        """Run once, for as long as the driver does if that is not said; fail unless every answer was 2xx."""
        before = instance.cpu_us()
        summary = self._run(instance, scenario, seconds=seconds or self._seconds)
        requests = summary["requests"]
        cpu_us = {role: (used - before[role]) / requests for role, used in instance.cpu_us().items()}
        return Measurement(
            system=instance.system.name,
            scenario=scenario.name,
            requests=requests,
            seconds=summary["duration_us"] / 1_000_000,
            p50_ms=summary["p50_us"] / 1000,
            p99_ms=summary["p99_us"] / 1000,
            cpu_us=cpu_us,
            total_us=sum(cpu_us[role] for role in instance.system.counted),
        )

    def _run(self, instance: Instance, scenario: Scenario, *, seconds: int) -> dict[str, int]:
        actual = scenario if instance.system.stores_users else GET
        run = next(self._runs)
        summary = _summary(self._wrk(instance, actual, run, seconds=seconds))
        if any(summary[kind] for kind in ERRORS) or not summary["requests"]:
            output = self._wrk(instance, actual, next(self._runs), seconds=1, sample=True)
            sample = next((line for line in output.splitlines() if line.startswith("SAMPLE")), "none when repeated")
            raise MeasurementFailed(f"{instance.system.name} {scenario.name}: not all 2xx: {summary}; sample: {sample}")
        if actual is CREATE:
            # wrk builds one request to look at it and sends none of it: the second is the first that is sent.
            check_created(instance, f"c{run:04d}{2:010d}")
        return summary

    def _wrk(self, instance: Instance, scenario: Scenario, run: int, *, seconds: int, sample: bool = False) -> str:
        options = ("-t1", f"-c{self._connections}", f"-d{seconds}s", "--timeout", "10s", "-s", scenario.script)
        environment = _environment(instance, scenario, run) | ({"BENCH_SAMPLE": "1"} if sample else {})
        result = subprocess.run(
            [self._wrk_path, *options, instance.url],
            cwd=SCRIPTS,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise MeasurementFailed(f"wrk {scenario.script}: {result.stdout}{result.stderr}")
        return result.stdout


def find_wrk() -> str | None:
    """Return the path of wrk, if it is installed."""
    return shutil.which("wrk")


def _environment(instance: Instance, scenario: Scenario, run: int) -> dict[str, str]:
    api = instance.system.api
    return {
        "BENCH_COLLECTION": api.collection,
        "BENCH_LISTING": scenario.listing or api.listing,
        "BENCH_REPLACE_METHOD": api.replace_method,
        "BENCH_BODY": api.template,
        "BENCH_AUTHORIZATION": api.headers.get("Authorization", ""),
        "BENCH_SEEDED": str(scenario.rows),
        "BENCH_RUN": str(run),
    }


def _summary(output: str) -> dict[str, int]:
    for line in output.splitlines():
        if line.startswith("BENCH "):
            summary: dict[str, int] = json.loads(line.removeprefix("BENCH "))
            return summary
    raise MeasurementFailed(f"wrk printed no summary: {output}")
