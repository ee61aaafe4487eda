"""Prometheus for tests: Debian's, on a free port of the loopback, which scrapes what a test runs.

The service that Debian starts when the package is installed is never asked.
"""

import contextlib
import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.harness.postgres import free_port
from tests.harness.scraping import METRICS_TOKEN
from tests.harness.waiting import until

PROMETHEUS: Final = "/usr/bin/prometheus"
START_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 60.0
INTERVAL: Final = 1
"""Seconds between scrapes, which is also how long one may take."""
# Waits until whoever started it ends, in whatever way, then ends the server that still works in the folder ($1).
GUARDIAN: Final = """
read -r _
pid=$(cat "$1/pid")
[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1" ] && kill -KILL "$pid"
"""

needs_prometheus = pytest.mark.skipif(shutil.which(PROMETHEUS) is None, reason=f"there is no {PROMETHEUS}")

STARTED: Final = "process_start_time_seconds"

type Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class PrometheusServer:
    """A server, and what may be asked of it; times are seconds since 1970."""

    folder: Path
    port: int
    client: httpx2.Client = field(repr=False)

    @property
    def log(self) -> Path:
        """Where it writes warnings and errors."""
        return self.folder / "log"

    def query(self, expression: str, at: float | None = None) -> dict[Labels, float]:
        """Return the value of each series that the expression has, now or at a moment."""
        return {_labels(one["metric"]): float(one["value"][1]) for one in self._query(expression, at)}

    def number(self, expression: str, at: float | None = None) -> float:
        """Return the value of an expression that has one series, or none, which is 0."""
        found = self.query(expression, at)
        assert len(found) <= 1, found
        return next(iter(found.values()), 0.0)

    def by(self, names: Sequence[str], expression: str, at: float | None = None) -> dict[tuple[str, ...], float]:
        """Return what an expression's series have, added up by these labels; what is 0 is left out."""
        return total(self.query(expression, at), names)

    def gained(self, selector: str, since: float, to: float) -> dict[Labels, float]:
        """Return by how much each counter grew; one of a process that was started meanwhile began again from 0.

        `increase` has the same, but extrapolates to where there are no samples, leaves out what a series had when it
        was first seen, and takes for no reset what has caught up with the old value by the next scrape.
        """
        before, began = self.query(selector, since), self.query(STARTED, since)
        window = f"[{(to - since) * 1000:.0f}ms]"
        starts = {
            (_process(labels), at): start
            for labels, samples in self._range(STARTED + window, to)
            for at, start in samples
        }
        grown: dict[Labels, float] = {}
        for labels, samples in self._range(selector + window, to):
            process, total, last = _process(labels), 0.0, before.get(labels, 0.0)
            last_start = began.get(process)
            for at, value in samples:
                start = starts[process, at]
                total += value - (last if start == last_start else 0)
                last, last_start = value, start
            grown[labels] = total
        return grown

    def exemplars(self, selector: str, since: float, to: float) -> list[dict[str, Any]]:
        """Return the exemplars of the series that are selected: labels, value, timestamp, and `series`, its labels."""
        found = self.get("query_exemplars", query=selector, start=f"{since:.3f}", end=f"{to:.3f}")
        return [{**exemplar, "series": one["seriesLabels"]} for one in found for exemplar in one["exemplars"]]

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules and what has become of them."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def evaluations(self) -> list[float]:
        """Return when each rule was evaluated last."""
        return [datetime.fromisoformat(rule["lastEvaluation"]).timestamp() for rule in self.rules()]

    def get(self, path: str, **parameters: str) -> Any:
        """Return the `data` of an answer of its API."""
        answer = self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def settle(self, jobs: Sequence[str]) -> float:
        """Return a moment at which Prometheus knows all that these jobs have done until now, and nothing is under way.

        That is when a later scrape of each has found all workers, and no request but the scrape itself. No scrape that
        may yet fail has begun at that moment.
        """
        asked = time.time()
        scraped: dict[tuple[str, ...], float] = {}

        def is_quiet() -> bool:
            under_way = "sarvanom_http_requests_in_progress"
            scraped.update(self.by(["job"], f"min by (job) (timestamp({under_way}))"))
            moments = [scraped.get((job,), 0) for job in jobs]
            return (
                min(moments) > asked
                and max(moments) - min(moments) < INTERVAL
                and self.by(["job"], f"sum by (job) ({under_way})", max(moments)) == {(job,): 1.0 for job in jobs}
                and not self.number("sum(sarvanom_workers_unreachable)", max(moments))
            )

        until(is_quiet, SETTLE_SECONDS)
        return max(scraped.values())

    def _range(self, expression: str, to: float) -> Iterator[tuple[Labels, list[tuple[float, float]]]]:
        for one in self._query(expression, to):
            yield _labels(one["metric"]), [(at, float(text)) for at, text in one["values"]]

    def _query(self, expression: str, at: float | None) -> list[dict[str, Any]]:
        moment = {} if at is None else {"time": f"{at:.3f}"}
        found: list[dict[str, Any]] = self.get("query", query=expression, **moment)["result"]
        return found


def total(values: Mapping[Labels, float], names: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Add up what series have, by these labels; what is 0 is left out."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for labels, value in values.items():
        found[tuple(dict(labels)[name] for name in names)] += value
    return {labels: value for labels, value in found.items() if value}


@contextlib.contextmanager
def running_prometheus(folder: Path, jobs: Mapping[str, str], rules: Sequence[Path] = ()) -> Iterator[PrometheusServer]:
    """Run a server that keeps its data in the folder, and scrapes the URL of each job with the metrics token."""
    folder, port = folder.resolve(), free_port()
    configuration = {
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [
            {
                "job_name": job,
                "authorization": {"credentials": METRICS_TOKEN},
                "static_configs": [{"targets": [url.removeprefix("http://")]}],
            }
            for job, url in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration))  # which is YAML too
    with _guarded(folder, port) as process, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        server = PrometheusServer(folder, port, client)
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(client):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Prometheus did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.05)
        yield server


@contextlib.contextmanager
def _guarded(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program, and end it by its pid whatever becomes of this process."""
    guardian = subprocess.Popen(
        ["sh", "-c", GUARDIAN, "prometheus-guardian", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests
        )
    (folder / "pid").write_text(str(process.pid))
    try:
        yield process
    finally:
        process.kill()
        process.wait(START_SECONDS)
        guardian.communicate()


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx2.TransportError:
        return False


def _labels(metric: Mapping[str, str]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name != "__name__")


def _process(labels: Labels) -> Labels:
    return frozenset((name, value) for name, value in labels if name in {"job", "instance", "worker"})
