"""Metrics as text for Prometheus: the samples of all workers of a service together."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from prometheus_client import exposition as plain
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.samples import Exemplar

from sarvanom.observability.exposition import Payload

_PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
_process: Final = ProcessCollector(registry=None)


def process_families(labels: dict[str, str]) -> Payload:
    """Return what the system says of this process."""
    return [
        [
            found.name,
            found.type,
            found.documentation,
            [[one.name.removeprefix(found.name), {**one.labels, **labels}, one.value, None] for one in found.samples],
        ]
        for found in _process.collect()
    ]


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def render(payloads: Sequence[Payload], accept: str) -> tuple[str, bytes]:
    """Return the media type that a scraper wants, and the text: OpenMetrics if it names that, else Prometheus's own."""
    families = _Families(_merged(payloads))
    if "application/openmetrics-text" in accept:
        text: bytes = openmetrics.generate_latest(families)  # type: ignore[no-untyped-call]
        return openmetrics.CONTENT_TYPE_LATEST, text
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
    return Exemplar({"trace_id": trace_id}, value, at)
