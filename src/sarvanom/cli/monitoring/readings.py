"""What a scrape of `/metrics` says of each worker: the samples of metrics that are known here, and no others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

type Series = tuple[str, ...]
"""The name of a metric, and the values of those of its labels that are told apart here."""

REQUESTS: Final = "sarvanom_http_requests_total"
DURATIONS: Final = "sarvanom_http_request_duration_seconds_bucket"
IN_PROGRESS: Final = "sarvanom_http_requests_in_progress"
UNREACHABLE: Final = "sarvanom_workers_unreachable"
CPU: Final = "process_cpu_seconds_total"
MEMORY: Final = "process_resident_memory_bytes"
UPSTREAM_HEALTHY: Final = "sarvanom_upstream_healthy"
AUTHENTICATIONS: Final = "sarvanom_authentications_total"
LIMIT_DECISIONS: Final = "sarvanom_limit_decisions_total"
STORE_AVAILABLE: Final = "sarvanom_store_available"
REVISION: Final = "sarvanom_store_revision"
COMMITS: Final = "sarvanom_store_commit_writes_count"
COMMITTED_WRITES: Final = "sarvanom_store_commit_writes_sum"
CACHE_LOOKUPS: Final = "sarvanom_cache_lookups_total"
CACHE_ENTRIES: Final = "sarvanom_cache_entries"
CACHE_BYTES: Final = "sarvanom_cache_bytes"
WATCHERS: Final = "sarvanom_watch_subscribers"
WATCH_LAG: Final = "sarvanom_watch_lag_revisions"

COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    REQUESTS: ("route", "method", "status_class"),
    DURATIONS: ("route", "method", "le"),
    CPU: (),
    AUTHENTICATIONS: ("outcome",),
    LIMIT_DECISIONS: ("decision",),
    COMMITS: (),
    COMMITTED_WRITES: (),
    CACHE_LOOKUPS: ("outcome",),
}
GAUGES: Final[Mapping[str, tuple[str, ...]]] = {
    IN_PROGRESS: (),
    UNREACHABLE: (),
    MEMORY: (),
    UPSTREAM_HEALTHY: ("instance",),
    STORE_AVAILABLE: (),
    REVISION: (),
    CACHE_ENTRIES: (),
    CACHE_BYTES: (),
    WATCHERS: (),
    WATCH_LAG: (),
}
_BUILD: Final = "sarvanom_build_info"
_STARTED: Final = "process_start_time_seconds"


@dataclass(slots=True)
class Reading:
    """What one worker said at a time, in s of a clock that never goes back; `started` is in s of the worker's clock.

    Series that differ in other labels alone are added up.
    """

    at: float
    started: float = 0.0
    counters: dict[Series, float] = field(default_factory=dict)
    gauges: dict[Series, float] = field(default_factory=dict)

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Take a sample, if it is of a metric that is known."""
        if name == _STARTED:
            self.started = value
        for known, kept in ((COUNTERS, self.counters), (GAUGES, self.gauges)):
            if name in known:
                series = (name, *(labels.get(label, "") for label in known[name]))
                kept[series] = kept.get(series, 0.0) + value


class Scrape(NamedTuple):
    """What a service said: which it is, and the readings of its workers."""

    service: str
    workers: Mapping[str, Reading]


def parse_scrape(text: str, at: float) -> Scrape:
    """Return what a text in Prometheus's format 0.0.4 says; values that are no finite numbers are left out.

    Raises:
        ValueError: it is not what a service of SarvanOM says.
    """
    service = ""
    workers: dict[str, Reading] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name, labels, value = sample.name, sample.labels, sample.value
            if name == _BUILD:
                service = labels.get("service", "")
            elif math.isfinite(value) and "worker" in labels:
                workers.setdefault(labels["worker"], Reading(at)).take(name, labels, value)
    if not service or not workers:
        raise ValueError("it tells of no service of SarvanOM")
    return Scrape(service, workers)
