"""`sarvanom promote` as a person uses it, and as one interrupts it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sarvanom.backends.storage.sqlite.database import open_writer
from tests.harness.postgres import PostgresDatabases
from tests.services.commands import SARVANOM, environment, refusal, run

ROWS = 20_000


def make_store(folder: Path) -> Path:
    """Make a file that takes a moment to copy."""
    path = folder / "sarvanom.db"
    writer = open_writer(path)
    writer.execute("BEGIN")
    writer.execute(
        f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS}) "
        "INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) "
        "SELECT n, 'settings', 'k' || n, 'create', 's', '', '', zeroblob(500) FROM n"
    )
    writer.execute(f"UPDATE counters SET value = {ROWS} WHERE name = 'revision'")
    writer.execute("COMMIT")
    writer.close()
    return path


def count(url: str) -> int:
    rows = PostgresDatabases(url)
    found = rows.ask("SELECT count(*) AS n FROM pg_tables WHERE tablename = $1", "changes")
    return int(rows.ask("SELECT count(*) AS n FROM changes WHERE $1", True)[0]["n"]) if found[0]["n"] else 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_promotion_leaves_both_sides_as_they_were_and_can_be_run_again(
    postgres_database: str, tmp_path: Path, number: int
) -> None:
    path = make_store(tmp_path)
    before = path.read_bytes()
    command = [str(SARVANOM), "promote", "--to", postgres_database, "--data-dir", str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watched = PostgresDatabases(postgres_database)
    deadline = time.monotonic() + 20
    copying = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE $1"
    while not watched.ask(copying, "COPY%changes%"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    if number == signal.SIGINT:
        assert said.strip() == "Error: Interrupted: nothing was changed; run it again"
    assert count(postgres_database) == 0
    assert path.read_bytes() == before
    ran = run(command[1:], tmp_path, timeout=60)
    assert ran.returncode == 0, ran
    assert f"changes: {ROWS:,} rows, checksum equal" in ran.stdout
    assert "Done." in ran.stdout
    assert path.read_bytes() == before
    assert count(postgres_database) == ROWS
    if number == signal.SIGINT:
        assert "not empty" in refusal(command[1:], tmp_path, {})
