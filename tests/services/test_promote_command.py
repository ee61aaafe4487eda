"""`sarvanom promote` as a person uses it, and as one interrupts it."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest

from sarvanom.backends.storage.postgres.migration import migrate
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


AT_COMMIT = """
CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON counters DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_for_the_test();
"""


def count(url: str) -> int:
    rows = PostgresDatabases(url)
    found = rows.ask("SELECT count(*) AS n FROM pg_tables WHERE tablename = $1", "changes")
    return int(rows.ask("SELECT count(*) AS n FROM changes WHERE $1", True)[0]["n"]) if found[0]["n"] else 0


def start(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=folder, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen[str], url: str, query: str, *, blocked: bool = False) -> None:
    """Wait until a statement is under way, or waits for a lock that somebody else has."""
    watched = PostgresDatabases(url)
    deadline = time.monotonic() + 20
    running = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE $1"
    while not watched.ask(running + (" AND wait_event_type = 'Lock'" if blocked else ""), query):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_promotion_leaves_both_sides_as_they_were_and_can_be_run_again(
    postgres_database: str, tmp_path: Path, number: int
) -> None:
    path = make_store(tmp_path)
    before = path.read_bytes()
    command = [str(SARVANOM), "promote", "--to", postgres_database, "--data-dir", str(tmp_path)]
    process = start(command, tmp_path)
    wait_for(process, postgres_database, "COPY%changes%")
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


async def test_an_interruption_during_the_commit_says_how_to_see_what_became_of_it(
    postgres_database: str, tmp_path: Path
) -> None:
    make_store(tmp_path)
    command = [str(SARVANOM), "promote", "--to", postgres_database, "--data-dir", str(tmp_path)]
    await migrate(postgres_database)
    holder = await asyncpg.connect(postgres_database)
    try:
        await holder.execute(AT_COMMIT)
        await holder.execute("SELECT pg_advisory_lock(42)")
        process = start(command, tmp_path)
        await asyncio.to_thread(wait_for, process, postgres_database, "COMMIT", blocked=True)
        os.kill(process.pid, signal.SIGINT)
        _, said = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        await holder.close()
    assert process.returncode == 1
    assert said.startswith("Error: Interrupted during the commit: everything is there, or nothing; run it again")
    ran = await asyncio.to_thread(run, command[1:], tmp_path, timeout=60)
    assert "Done." in ran.stdout or "not empty" in ran.stderr
    assert await asyncio.to_thread(count, postgres_database) == ROWS


async def test_an_interruption_after_the_commit_changes_nothing_of_it(postgres_database: str, tmp_path: Path) -> None:
    """What the server does then, to plan better, is a courtesy."""
    make_store(tmp_path)
    command = [str(SARVANOM), "promote", "--to", postgres_database, "--data-dir", str(tmp_path)]
    await migrate(postgres_database)
    holder = await asyncpg.connect(postgres_database)
    try:
        await holder.execute("CREATE TABLE theirs ()")
        await holder.execute("BEGIN; LOCK TABLE theirs IN ACCESS EXCLUSIVE MODE")
        process = start(command, tmp_path)
        await asyncio.to_thread(wait_for, process, postgres_database, "ANALYZE", blocked=True)
        os.kill(process.pid, signal.SIGINT)
        told, said = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        await holder.close()
    assert process.returncode == 0
    assert said.strip() == "Interrupted after the commit: everything is there, and was compared."
    assert told.startswith("Done.")
    assert await asyncio.to_thread(count, postgres_database) == ROWS
