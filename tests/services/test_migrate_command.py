"""`sarvanom migrate`, and what `sarvanom crud` says of a database that it cannot use."""

from pathlib import Path

from sarvanom.cli.exits import CANNOT_START
from tests.harness.postgres import PostgresDatabases
from tests.services.commands import refusal, run
from tests.unit.backends.storage.postgres.test_migration import NOT_OURS


def settings(url: str) -> dict[str, str]:
    return {"SARVANOM_DATABASE_URL": url, "SARVANOM_CRUD_PORT": "0"}


def test_migrate_says_what_it_did_and_crud_asks_for_it(postgres_database: str, tmp_path: Path) -> None:
    said = refusal(["crud"], tmp_path, settings(postgres_database))
    assert "run `sarvanom migrate`" in said
    first, second = (run(["migrate"], tmp_path, settings(postgres_database)) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Migrated from an empty database" in first.stdout
    assert "already" in second.stdout


def test_a_database_that_cannot_be_used_stops_both_with_one_line(postgres_database: str, tmp_path: Path) -> None:
    assert run(["migrate"], tmp_path, settings(postgres_database)).returncode == 0
    PostgresDatabases(postgres_database).ask(NOT_OURS["newer"][0])
    for command in ("crud", "migrate"):
        ran = run([command], tmp_path, settings(postgres_database))
        assert ran.returncode == CANNOT_START
        [line] = ran.stderr.splitlines()
        assert line.startswith("Error: ")
        assert "The database " in line
        assert "postgresql://" not in line


def test_a_database_that_is_away_cannot_be_migrated(tmp_path: Path) -> None:
    said = refusal(["migrate"], tmp_path, settings("postgresql://u:secret@127.0.0.1:9/db"))
    assert "cannot be reached" in said
    assert "secret" not in said


def test_a_url_that_cannot_be_read_is_not_repeated(tmp_path: Path) -> None:
    said = refusal(["crud"], tmp_path, settings("postgresql://u:sec/ret@127.0.0.1:9/db"))
    assert "URL cannot be read" in said
    assert "sec" not in said
