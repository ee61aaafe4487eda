"""How long a change takes to reach those who watch another crud process."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import override

from benchmarks.errors import MeasurementFailed
from benchmarks.instance import Instance, running
from benchmarks.parts.base import Bench, Part
from benchmarks.results import Fanout
from benchmarks.systems.sarvanom import Crud, on_postgres
from benchmarks.users import user_id

SECONDS = 10
SETTLE_S = 1.0
"""How long after the last write its events may still come."""
RATES = {1: 50, 1000: 5}
"""Writes a second, by the number of watchers: what they are told is 50 and 5,000 events a second."""


class Watch(Part):
    """Two crud processes on one PostgreSQL: one is written to, the other is watched."""

    name = "watch"

    @override
    def measure(self, bench: Bench) -> None:
        with bench.steps.step(self.name, "start"), bench.postgres(self.name) as postgres:
            database = on_postgres(postgres, postgres.migrated_database())
            written, watched = (Crud(f"crud {role}", database) for role in ("written", "watched"))
            with (
                running(written, bench.folder / "watch-written") as writing,
                running(watched, bench.folder / "watch-watched") as watching,
            ):
                for watchers, rate in RATES.items():
                    with bench.steps.step(f"{self.name} {watchers}", "fan out"):
                        bench.results.fanout.append(_measure(writing, watching, watchers, rate))


def _measure(writing: Instance, watching: Instance, count: int, rate: int) -> Fanout:
    with _watchers(watching, count) as client:
        before = watching.cpu_us()["crud"]
        sent = _write(writing, count, rate)
        time.sleep(SETTLE_S)
        used = watching.cpu_us()["crud"] - before
        output, said = client.communicate()
    if client.returncode:
        raise MeasurementFailed(f"watchers: {said}")
    arrivals: dict[str, list[int]] = json.loads(output)
    told = {revision: arrivals.get(str(revision), []) for revision in sent}
    if any(len(at) != count for at in told.values()):
        raise MeasurementFailed(f"{sum(map(len, told.values()))} events arrived of {count * len(sent)}")
    taken_ms = [(arrived - sent[revision]) / 1_000_000 for revision, at in told.items() for arrived in at]
    return Fanout(count, len(sent), median(taken_ms), quantiles(taken_ms, n=100)[-1], used / len(taken_ms))


@contextmanager
def _watchers(watching: Instance, count: int) -> Iterator[subprocess.Popen[str]]:
    """Run the watchers in a process of their own; they are ready, and stop when their input is closed."""
    client = subprocess.Popen(
        (sys.executable, "-m", "benchmarks.clients.watch", str(watching.port), str(count)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert client.stdout is not None
        if client.stdout.readline() != "ready\n":
            raise MeasurementFailed(f"watchers: {client.communicate()[1]}")
        yield client
    finally:
        client.kill()
        client.wait()


def _write(instance: Instance, run: int, rate: int) -> dict[int, int]:
    """Create users at a steady rate; return when each was sent (ns), by its revision."""
    api = instance.system.api
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=10)
    sent: dict[int, int] = {}
    begun = time.monotonic_ns()
    for n in range(SECONDS * rate):
        time.sleep(max(0, begun + n * 1_000_000_000 // rate - time.monotonic_ns()) / 1_000_000_000)
        now = time.monotonic_ns()
        name = user_id(run * 1_000_000 + n)
        connection.request("POST", api.collection, api.body(name), {"Content-Type": "application/json", **api.headers})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != api.created:
            raise MeasurementFailed(f"create: {answer.status} {body[:500]!r}")
        sent[int(answer.headers["SarvanOM-Revision"])] = now
    connection.close()
    return sent
