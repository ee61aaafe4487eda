"""Both services on PostgreSQL, watched by Prometheus and a collector of traces, while faults happen under load."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sarvanom.services.crud.storage import migrate_store
from tests.harness.collector import Collector, SeenSpan, running_collector
from tests.harness.postgres import PostgresDatabases, PostgresServer, running_postgres
from tests.harness.prometheus import PrometheusServer, running_prometheus
from tests.harness.scraping import METRICS_TOKEN
from tests.harness.system import RunningProcess
from tests.harness.waiting import until
from tests.services.commands import children, running
from tests.services.counted_load import Load
from tests.services.shown_queries import RULES

GATEWAY: Final = "sarvanom-gateway"
CRUD: Final = "sarvanom-crud"
SERVER, CLIENT = 2, 3
PATIENCE: Final = 60.0
SETTINGS: Final = {
    "SARVANOM_WORKERS": "2",
    "SARVANOM_METRICS_TOKEN": METRICS_TOKEN,
    "SARVANOM_TRACE_SAMPLE": "1",
    "SARVANOM_LIMIT_BULK_PER_MINUTE": "3",
    "SARVANOM_DATABASE_CONNECTIONS": "12",  # two for the reads of each worker, so that some have to wait
}


class Phase(NamedTuple):
    """A load, and the moments before and after it at which Prometheus knew all and nothing was under way."""

    load: Load
    began: float
    ended: float


class Kill(NamedTuple):
    """When a worker of crud was killed, and when it had been scraped for the last time before."""

    at: float
    scraped: float


@dataclass
class WatchedSystem:
    """What runs, and what has been done to it."""

    system: RunningProcess
    postgres: PostgresServer
    database: str
    prometheus: PrometheusServer
    collector: Collector
    phases: dict[str, Phase] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    ended: float = 0.0
    """A moment after the end, when every rule had been evaluated since the first load."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Load]:
        """Hand over a load for this block, and wait until Prometheus knows all of it."""
        began = self.prometheus.settle((GATEWAY, CRUD))
        load = Load(self.system.gateway_url)
        yield load
        self.phases[name] = Phase(load, began, self.prometheus.settle((GATEWAY, CRUD)))

    def kill_crud_worker(self) -> None:
        """Kill one without warning, and wait until Prometheus has seen the one that takes its place."""
        changes = f'sum(changes(process_start_time_seconds{{job="{CRUD}"}}[1h]))'
        before = self.prometheus.number(changes)
        pid = next(pid for pid, service in children(self.system).items() if service == "crud")
        os.kill(pid, signal.SIGKILL)
        at = time.time()
        self.kills.append(Kill(at, self.prometheus.number(f'min(timestamp(sarvanom_build_info{{job="{CRUD}"}}))', at)))
        until(lambda: self.prometheus.number(changes) == before + 1, PATIENCE)

    def stop_postgres(self, load: Load) -> None:
        """Stop it, let the load and Prometheus see that, and start it again."""
        available = f'sarvanom_store_available{{job="{CRUD}"}}'
        self.postgres.stop()
        until(lambda: self.prometheus.query(f"max({available}) == 0") and load.count(503) >= 10, PATIENCE)
        self.postgres.start()
        until(lambda: self.prometheus.query(f"count({available} == 1) == 2"), PATIENCE)
        self.go_on(load)

    def hold_table(self, load: Load) -> None:
        """Hold a table that many read, until Prometheus has seen that a read waited too long for a connection."""
        database = PostgresDatabases(self.postgres.database_url(self.database))
        lock = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3)"

        def has_timed_out() -> bool:
            with ThreadPoolExecutor(1) as pool:
                holding = pool.submit(database.ask, lock)
                load.read_at_once(12)
                holding.result()
            return self.prometheus.number('sum(sarvanom_db_pool_wait_seconds_count{outcome="timeout"})') > 0

        until(has_timed_out, PATIENCE)

    def go_on(self, load: Load) -> None:
        """Wait until some more writes have been carried out."""
        before = load.count(201)
        until(lambda: load.count(201) >= before + 10, PATIENCE)

    def await_rules(self) -> None:
        """Wait until each rule has been evaluated since the first load was over."""
        since = self.phases["calm"].ended
        until(lambda: all(when > since for when in self.prometheus.evaluations()), PATIENCE)

    def await_spans(self) -> None:
        """Wait until the collector has each request's span, and both ends of each hop that was answered.

        The gateway sends the spans of a request's hops no later than the request's own.
        """
        deadline = time.monotonic() + PATIENCE
        while lacking := [*self._lacking_requests(), *self._lacking_ends()]:
            assert time.monotonic() < deadline, f"the collector lacks {len(lacking)} spans: {lacking[:10]}"
            time.sleep(0.1)

    def _lacking_requests(self) -> list[str]:
        parents = {span.parent_id for span in list(self.collector.spans) if span.service == "gateway"}
        asked = [one for phase in self.phases.values() for one in phase.load.asked]
        return [f"{one.method} {one.route}" for one in asked if one.span_id not in parents]

    def _lacking_ends(self) -> list[str]:
        spans = list(self.collector.spans)
        ids = {span.span_id for span in spans}
        parents = {span.parent_id for span in spans if span.service == "crud"}
        hops = [span for span in spans if is_answered_hop(span)]
        outer = [f"the request of {hop}" for hop in hops if hop.parent_id not in ids]
        return outer + [f"crud's end of {hop}" for hop in hops if hop.span_id not in parents]


def is_answered_hop(span: SeenSpan) -> bool:
    """Tell whether it is one of the gateway asking crud, and being answered."""
    return (span.service, span.kind) == ("gateway", CLIENT) and "http.response.status_code" in span.attributes


@contextmanager
def watched_system(folder: Path) -> Iterator[WatchedSystem]:
    """Run it: calm first, then with a worker of crud begun anew between two loads, then with faults under load."""
    for name in ("prometheus", "system"):
        (folder / name).mkdir()
    with running_postgres() as postgres, running_collector() as collector:
        url = postgres.create_database()
        asyncio.run(migrate_store(url))
        settings = {**SETTINGS, "SARVANOM_DATABASE_URL": url, "SARVANOM_OTLP_ENDPOINT": collector.url}
        system = RunningProcess(("up",), folder / "system", settings=settings)
        jobs = {GATEWAY: system.gateway_url, CRUD: system.crud_url}
        # Prometheus waits some seconds before its first scrape, while the system starts.
        with running_prometheus(folder / "prometheus", jobs, rules=RULES) as prometheus, running(system):
            watched = WatchedSystem(system, postgres, urlsplit(url).path[1:], prometheus, collector)
            play(watched)
            yield watched


def play(watched: WatchedSystem) -> None:
    """Let everything happen."""
    with watched.phase("calm") as load:
        load.run(rounds=3)
    watched.await_spans()
    watched.kill_crud_worker()
    with watched.phase("begun anew") as load:
        load.run(rounds=2)
    watched.await_spans()
    with watched.phase("faults") as load, load.running():
        watched.go_on(load)
        watched.kill_crud_worker()
        watched.go_on(load)
        watched.hold_table(load)
        watched.postgres.terminate_backends(watched.database)
        watched.go_on(load)
        watched.stop_postgres(load)  # the last, so that the database is seen to be back at the end
    watched.await_rules()
    watched.ended = watched.prometheus.settle((GATEWAY, CRUD))
