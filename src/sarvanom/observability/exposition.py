"""What one process has measured, as it is told to the worker that is scraped."""

import platform
from typing import Any, Final

from sarvanom.observability.metrics import Metrics

PROCESS: Final = (
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
)
BUILD: Final = "sarvanom_build_info"
UNREACHABLE: Final = "sarvanom_workers_unreachable"

type Payload = list[Any]
"""Families as one worker tells another of them in JSON: name, type, meaning, and samples."""


class Exposition:
    """Reads the metrics of this process."""

    def __init__(self, metrics: Metrics, service: str, version: str, worker: int) -> None:
        self._metrics = metrics
        self._worker = str(worker)
        self._build = {"service": service, "version": version, "python": platform.python_version()}

    def read(self) -> Payload:
        """Return what this process has measured."""
        worker = {"worker": self._worker}
        families: Payload = [[BUILD, "gauge", "Which service this is", [["", {**self._build, **worker}, 1, None]]]]
        for family in self._metrics.families():
            samples = [
                [sample.suffix, {**sample.labels, **worker}, sample.value, sample.exemplar and [*sample.exemplar]]
                for sample in family.samples()
            ]
            families.append([family.name, family.type, family.meaning, samples])
        # What reads and writes for Prometheus is loaded when one comes.
        from sarvanom.observability.rendering import process_families

        return families + process_families(worker)

    def unreachable(self, workers: int) -> Payload:
        """Return how many workers could not be read."""
        meaning = "Workers that did not answer for this scrape"
        return [[UNREACHABLE, "gauge", meaning, [["", {"worker": self._worker}, workers, None]]]]
