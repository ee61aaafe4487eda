"""Files that are not to be touched: of another program, of a newer version, or not whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from sarvanom.backends.storage.schema import HEAD, IncompatibleDatabase
from sarvanom.backends.storage.sqlite.database import migrate_file, open_writer
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from tests.unit.backends.storage.sqlite.old_files import change_file, contents, make_old_file


def make_new_file(file: Path) -> None:
    open_writer(file).close()


def make_nothing(file: Path) -> None:
    """Leave the file to the script."""


CASES: Final[dict[str, tuple[Callable[[Path], None], str, str]]] = {
    "a newer schema": (make_new_file, "UPDATE alembic_version SET version_num = '0999'", "schema 0999.*knows up to"),
    "two versions": (make_new_file, "INSERT INTO alembic_version VALUES ('0001')", "half migrated.*has 2 rows"),
    "no version": (make_new_file, "DELETE FROM alembic_version", "half migrated.*has 0 rows"),
    "no version table": (make_new_file, "DROP TABLE alembic_version", "half migrated.*has 0 rows"),
    "no log": (make_new_file, "DROP TABLE changes", "half migrated.*lacks changes"),
    "few tables": (make_new_file, "DROP TABLE users; DROP TABLE cache_tags", "half migrated.*lacks cache_tags, users"),
    "an old file without a table": (make_old_file, "DROP TABLE models", "half migrated.*lacks models"),
    "an old file without tags": (make_old_file, "DROP TABLE cache_tags", "half migrated.*lacks cache_tags"),
    "another program": (make_nothing, "CREATE TABLE notes (text)", "belongs to another program"),
    "another program's users": (make_old_file, "PRAGMA application_id = 7", "belongs to another program"),
    "another user of Alembic": (
        make_nothing,
        f"CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('{HEAD}')",
        "belongs to another program",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [open_writer, migrate_file, SQLiteStore])
def test_start_is_stopped_by_one_line_and_changes_nothing(
    file: Path, case: str, start: Callable[[Path], object]
) -> None:
    make, script, message = CASES[case]
    make(file)
    change_file(file, script)
    before, content = file.read_bytes(), contents(file)
    with pytest.raises(IncompatibleDatabase, match=message) as caught:
        start(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert "\n" not in text
    assert len(text) - len(str(file)) < 120
    assert file.read_bytes() == before
    assert contents(file) == content
