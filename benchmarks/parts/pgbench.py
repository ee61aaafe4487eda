"""pgbench on the same table with the same durability: what PostgreSQL itself allows."""

import itertools
import re
from pathlib import Path
from typing import override

from benchmarks.clients.fill import API
from benchmarks.errors import MeasurementFailed
from benchmarks.parts.base import Bench, Part, fill_database
from benchmarks.postgres import Postgres
from benchmarks.results import Limit
from benchmarks.scenarios import CREATE, GET, SEEDED
from benchmarks.users import user_id

SELECT = """\\set n random(0, :rows - 1)
SELECT revision, created_at, body FROM users WHERE user_id = 'u' || lpad((:n)::text, 14, '0');
"""
# The body is a constant of the right size; only what has an index differs from row to row.
INSERT = """\\set n :n + 1
INSERT INTO users (user_id, username, email, service, revision, created_at, updated_at, body)
VALUES ('c' || :run || '-' || :client_id || '-' || :n, 'name-' || :run || '-' || :client_id || '-' || :n,
:run || '-' || :client_id || '-' || :n || '@example.test', 'default', :n,
'2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', '\\x{body}');
"""
SERVER_FIELDS = ',"created_at":"2026-01-01T00:00:00.000000Z","updated_at":"2026-01-01T00:00:00.000000Z","revision":1}'
WARM_UP_S = 1


class Pgbench(Part):
    """Select by primary key, and insert one row, as prepared statements; cases are called like the scenarios."""

    name = "pgbench"

    @override
    def measure(self, bench: Bench) -> None:
        with bench.steps.step(self.name, "start"), bench.postgres(self.name) as postgres:
            url = postgres.migrated_database()
            fill_database(url, SEEDED)
            postgres.settle(url)
            runs = itertools.count(1)
            for name, text in ((GET.name, SELECT), (CREATE.name, _insert())):
                script = bench.folder / f"pgbench-{name}.sql"
                script.write_text(text)
                _run(postgres, url, script, next(runs), bench.connections, WARM_UP_S)
                for n in range(bench.rounds):
                    with bench.steps.step(self.name, f"{name} {n + 1}/{bench.rounds}"):
                        before = postgres.processes.cpu_us()
                        count, rate = _run(postgres, url, script, next(runs), bench.connections, bench.seconds)
                        used = postgres.processes.cpu_us() - before
                        bench.results.limits.append(Limit(name, rate, used / count))


def _run(postgres: Postgres, url: str, script: Path, run: int, clients: int, seconds: int) -> tuple[int, float]:
    """Return how many transactions there were, and how many a second."""
    output = postgres.program(
        "pgbench",
        *("--no-vacuum", "--protocol", "prepared", "--client", str(clients), "--jobs", "1"),
        *(
            "--time",
            str(seconds),
            "--define",
            f"run={run}",
            "--define",
            "n=0",
            "--define",
            f"rows={SEEDED}",
            "--file",
            str(script),
            url,
        ),
    )
    count = re.search(r"number of transactions actually processed: (\d+)", output)
    failed = re.search(r"number of failed transactions: (\d+)", output)
    rate = re.search(r"tps = ([\d.]+)", output)
    if count is None or rate is None or failed is None or int(failed[1]):
        raise MeasurementFailed(f"pgbench {script.name}: {output}")
    return int(count[1]), float(rate[1])


def _insert() -> str:
    """Fill in a body as long as the one that the API stores."""
    body = API.body(user_id(0))[:-1] + SERVER_FIELDS
    return INSERT.replace("{body}", body.encode().hex())
