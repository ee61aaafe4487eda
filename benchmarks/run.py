"""The order of a run: starts one by one, then load on all systems in turn."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.driver import Driver
from benchmarks.instance import Instance, running
from benchmarks.results import Results, Start
from benchmarks.scenarios import Scenario
from benchmarks.steps import Steps
from benchmarks.systems.base import System
from benchmarks.users import check, seed

SETTLE_S = 1.5
"""How long a started system is left alone before its memory is read."""

type Instances = dict[str, Instance]


class Run:
    """One run of the benchmark; a system that fails is left out from there on, and named in the results."""

    def __init__(self, results: Results, folder: Path, driver: Driver, *, rounds: int, steps: Steps) -> None:
        """Take where to put results and data."""
        self._results = results
        self._folder = folder
        self._driver = driver
        self._rounds = rounds
        self._steps = steps

    def measure_starts(self, systems: Sequence[System]) -> None:
        """Start each system alone, so that no other shares its pages, and read time and memory."""
        for n in range(self._rounds):
            for system in self._left(systems):
                with self._steps.step(system.name, f"start {n + 1}/{self._rounds}"):
                    self._results.starts.append(self._start(system, n))

    def measure_load(self, systems: Sequence[System], scenarios: Sequence[Scenario]) -> None:
        """Run every scenario over all systems in turn, so that noise of the machine hits all alike."""
        with ExitStack() as stack:
            instances: Instances = {}
            for system in self._left(systems):
                with self._steps.step(system.name, "seed"):
                    instances[system.name] = self._seeded(system, stack)
            for scenario in scenarios:
                self._measure_scenario(scenario, systems, instances)

    def _measure_scenario(self, scenario: Scenario, systems: Sequence[System], instances: Instances) -> None:
        for system in self._left(systems):
            with self._steps.step(system.name, f"{scenario.name} warm-up"):
                self._driver.warm_up(instances[system.name], scenario)
        for n in range(self._rounds):
            left = self._left(systems)
            first = n % max(len(left), 1)
            for system in (*left[first:], *left[:first]):
                with self._steps.step(system.name, f"{scenario.name} {n + 1}/{self._rounds}"):
                    self._results.measurements.append(self._driver.measure(instances[system.name], scenario))

    def _start(self, system: System, n: int) -> Start:
        with running(system, self._folder / f"start-{n}-{system.name}") as instance:
            time.sleep(SETTLE_S)
            pss = instance.pss_mib()
            total = sum(pss[role] for role in system.counted)
            return Start(system.name, instance.health_s, instance.answer_s, pss, total)

    def _seeded(self, system: System, stack: ExitStack) -> Instance:
        instance = stack.enter_context(running(system, self._folder / f"load-{system.name}"))
        if system.stores_users:
            seed(instance)
            check(instance)
        return instance

    def _left(self, systems: Sequence[System]) -> list[System]:
        return [system for system in systems if system.name not in self._results.failures]
