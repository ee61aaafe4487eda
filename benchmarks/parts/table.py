"""A large table next to one of a thousand rows: get and list should cost the same."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override

import httpx

from benchmarks.clients.fill import service
from benchmarks.driver import Driver
from benchmarks.errors import MeasurementFailed
from benchmarks.instance import Instance, running
from benchmarks.parts.base import POSTGRES, SQLITE, Bench, Part, fill_database
from benchmarks.postgres import Postgres
from benchmarks.scenarios import GET, SEEDED, Scenario
from benchmarks.systems.base import Surroundings
from benchmarks.systems.sarvanom import Crud, on_postgres

SECONDS = 1
"""Length of a round: there are many."""
SLOWEST = 20
"""Length of a round at most."""
CONNECTIONS = 8
PAGE = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, and where its last page begins."""

    name: str
    query: str

    def pages(self, client: httpx.Client, rows: int) -> Iterator[Scenario]:
        """Make the scenarios of its first and its last page, both full, and see that they are."""
        answer = _page(client, f"{self.query}&limit=1&include_total=true")
        total = answer["metadata"]["total"]
        first = f"/users?{self.query}&limit={PAGE}"
        yield Scenario(f"{self.name}, first page", "list.lua", first, rows)
        if total == PAGE:
            return
        before = _page(client, f"{self.query}&limit={PAGE}&skip={total - 2 * PAGE}")
        last = f"{self.query}&limit={PAGE}&cursor={before['metadata']['next_cursor']}"
        page = _page(client, last)
        if len(page["data"]["items"]) != PAGE or page["metadata"]["next_cursor"] is not None:
            raise MeasurementFailed(f"{self.name}: the last page is not as it should be")
        yield Scenario(f"{self.name}, last page", "list.lua", f"/users?{last}", rows)


LISTINGS = (
    Listing("by id", "sort=user_id"),
    Listing("by creation", "sort=created_at"),
    Listing("by time, newest first", "sort=-updated_at"),
    Listing("of one service", f"service={service(0)}"),
)


class Table(Part):
    """Crud alone, with a thousand rows and with many, on SQLite and on PostgreSQL."""

    name = "table"
    needs_wrk = True

    @override
    def measure(self, bench: Bench) -> None:
        assert bench.wrk is not None
        driver = Driver(bench.wrk, connections=CONNECTIONS, seconds=SECONDS)
        with ExitStack() as stack:
            databases = self._filled(bench, stack)
            for database, systems in databases.items():
                with bench.steps.step(f"{self.name} {database}", "measure"), ExitStack() as inner:
                    instances = [
                        inner.enter_context(running(system, bench.folder / system.name.replace(" ", "-")))
                        for system in systems
                    ]
                    _measure(bench, driver, instances)

    def _filled(self, bench: Bench, stack: ExitStack) -> dict[str, list[Crud]]:
        """Fill all four databases, the two large ones at once."""
        sizes = (SEEDED, bench.rows)
        systems: dict[str, list[Crud]] = {}
        fills: list[tuple[str, int]] = []
        with bench.steps.step(f"{self.name} {SQLITE}", "start"):
            files = [bench.folder / f"{self.name}-{rows}.db" for rows in sizes]
            systems[SQLITE] = [
                Crud(table_name(SQLITE, rows), _on_sqlite(file)) for rows, file in zip(sizes, files, strict=True)
            ]
            fills += [(f"sqlite:///{file}", rows) for rows, file in zip(sizes, files, strict=True)]
        postgres: Postgres | None = None
        with bench.steps.step(f"{self.name} {POSTGRES}", "start"):
            postgres = stack.enter_context(bench.postgres(self.name))
            urls = [postgres.migrated_database() for _ in sizes]
            systems[POSTGRES] = [
                Crud(table_name(POSTGRES, rows), on_postgres(postgres, url))
                for rows, url in zip(sizes, urls, strict=True)
            ]
            fills += [(url, rows) for rows, url in zip(sizes, urls, strict=True)]
        with bench.steps.step(self.name, f"fill to {bench.rows:,} rows"), ThreadPoolExecutor() as threads:
            list(threads.map(fill_database, *zip(*fills, strict=True)))
            if postgres is not None:
                for url in urls:
                    postgres.settle(url)
        return systems


def table_name(database: str, rows: int) -> str:
    """Return the name of the system in the results."""
    return f"crud {database} {rows}"


def _measure(bench: Bench, driver: Driver, instances: list[Instance]) -> None:
    """Run all cases, the two sizes in turn within each."""
    cases = [_cases(instance, rows) for instance, rows in zip(instances, (SEEDED, bench.rows), strict=True)]
    for instance, scenarios in zip(instances, cases, strict=True):
        for scenario in (scenarios[0], scenarios[-1]):  # reads on the event loop, and in threads
            driver.warm_up(instance, scenario)
    for pair in zip(*cases, strict=True):
        seconds = max(map(_seconds_for, instances, pair))
        for n in range(bench.rounds):
            bench.steps.say(f"{pair[0].name} {n + 1}/{bench.rounds} {instances[0].system.name.rpartition(' ')[0]}")
            for instance, scenario in zip(instances, pair, strict=True):
                bench.results.measurements.append(driver.measure(instance, scenario, seconds))


def _seconds_for(instance: Instance, scenario: Scenario) -> int:
    """Make a round long enough for some answers, however slow: a case that grows is to be seen, not to be an error."""
    if scenario.listing is None:
        return SECONDS
    answer = httpx.get(f"{instance.url}{scenario.listing}", timeout=60, headers=instance.system.api.headers)
    return min(SLOWEST, max(SECONDS, math.ceil(CONNECTIONS * 2 * answer.elapsed.total_seconds())))


def _cases(instance: Instance, rows: int) -> list[Scenario]:
    with httpx.Client(base_url=instance.url, timeout=60, headers=instance.system.api.headers) as client:
        pages = [page for listing in LISTINGS for page in listing.pages(client, rows)]
    return [Scenario(GET.name, GET.script, rows=rows), *pages]


def _page(client: httpx.Client, query: str) -> dict[str, Any]:
    answer = client.get(f"/users?{query}")
    if answer.status_code != httpx.codes.OK:
        raise MeasurementFailed(f"GET /users?{query}: {answer.status_code} {answer.text[:500]}")
    page: dict[str, Any] = answer.json()
    return page


def _on_sqlite(file: Path) -> Surroundings:
    return Surroundings({"SARVANOM_DATABASE_URL": f"sqlite:///{file}"})
