"""What is measured, as Prometheus and OpenMetrics have it: the samples of all workers of a service in one text."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import exposition as plain
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as _openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.samples import Exemplar

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
_PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"

type Payload = list[Any]
"""Families as one worker tells another of them in JSON: name, type, meaning, and samples."""


class Exposition:
    """Reads the metrics of this process; puts those of several together."""

    def __init__(self, metrics: Metrics, service: str, version: str, worker: int) -> None:
        self._metrics = metrics
        self._worker = str(worker)
        self._build = {"service": service, "version": version, "python": platform.python_version()}
        self._process = ProcessCollector(registry=None)

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
        for found in self._process.collect():
            samples = [
                [one.name.removeprefix(found.name), {**one.labels, **worker}, one.value, None] for one in found.samples
            ]
            families.append([found.name, found.type, found.documentation, samples])
        return families

    def unreachable(self, workers: int) -> Payload:
        """Return how many workers could not be read."""
        meaning = "Workers that did not answer for this scrape"
        return [[UNREACHABLE, "gauge", meaning, [["", {"worker": self._worker}, workers, None]]]]


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def render(payloads: Sequence[Payload], accept: str) -> tuple[str, bytes]:
    """Return the media type that a scraper wants, and the text: OpenMetrics if it names that, else Prometheus's own."""
    families = _Families(_merged(payloads))
    if "application/openmetrics-text" in accept:
        text: bytes = _openmetrics.generate_latest(families)  # type: ignore[no-untyped-call]
        return _openmetrics.CONTENT_TYPE_LATEST, text
    return _PLAIN, plain.generate_latest(families)


def _merged(payloads: Sequence[Payload]) -> list[Metric]:
    """Put the samples of a family together; their labels differ by the worker."""
    merged: dict[str, Metric] = {}
    for payload in payloads:
        for name, type, meaning, samples in payload:
            metric = merged.setdefault(name, Metric(name, meaning, type))
            for suffix, labels, value, exemplar in samples:
                metric.add_sample(name + suffix, labels, value, exemplar=_exemplar(exemplar))
    return [metric for metric in merged.values() if metric.samples]


def _exemplar(told: Sequence[Any] | None) -> Exemplar | None:
    if told is None:
        return None
    trace_id, value, at = told
    labels: Mapping[str, str] = {"trace_id": trace_id}
    return Exemplar(dict(labels), value, at)
