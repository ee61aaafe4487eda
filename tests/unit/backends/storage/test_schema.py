"""The migrations lead to the tables that the statements are made from, and the code knows the last of them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from sarvanom.backends.storage import migrations
from sarvanom.backends.storage.schema import HEAD, KNOWN, VERSION_TABLE, upgrade_script, written_script
from sarvanom.backends.storage.sqlite.database import DIALECT, open_writer
from sarvanom.backends.storage.tables import METADATA
from tests.guards.update_scripts import DIALECTS
from tests.unit.backends.storage.sqlite.old_files import make_old_file

type Schema = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def declared() -> Schema:
    """The schema that the declarations of the tables alone would make."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for table in METADATA.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=DIALECT)))
            for index in table.indexes:
                connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
        return schema_of(connection)


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Return what each table has: its columns, its keys, its indexes, and how it is kept."""
    kinds = {row[1]: row[2:] for row in connection.execute("PRAGMA table_list")}
    return {
        table: {
            "kind": kinds[table],
            "columns": connection.execute(f"PRAGMA table_xinfo({table})").fetchall(),
            "references": connection.execute(f"PRAGMA foreign_key_list({table})").fetchall(),
            "indexes": sorted(indexes_of(connection, table)),
        }
        for table in sorted(METADATA.tables)
    }


def indexes_of(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Return the indexes of a table; those that stand for a constraint have no name of their own, nor a text."""
    found = []
    for _, name, unique, origin, partial in connection.execute(f"PRAGMA index_list({table})").fetchall():
        columns = connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
        own = ("", "")
        if origin == "c":
            [text] = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
            own = (name, " ".join(text.replace('"', "").split()))
        found.append((*own, unique, origin, partial, *columns))
    return found


def make_empty(file: Path) -> None:
    file.touch()


@pytest.mark.parametrize("make", [make_empty, make_old_file], ids=["new file", "file of version 0.1.0"])
def test_migrated_schema_is_the_declared_one(tmp_path: Path, declared: Schema, make: Callable[[Path], None]) -> None:
    file = tmp_path / "s.db"
    make(file)
    open_writer(file).close()
    with closing(sqlite3.connect(file)) as connection:
        found = schema_of(connection)
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table, schema in declared.items():
        assert found[table] == schema, table
    assert names == {*METADATA.tables, VERSION_TABLE}


def test_code_knows_the_migrations_that_there_are() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_heads() == [HEAD]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == KNOWN


@pytest.mark.parametrize("dialect", DIALECTS)
def test_script_for_an_empty_database_is_what_the_migrations_write(dialect: str) -> None:
    assert upgrade_script(dialect, None) == written_script(dialect, None), "python -m tests.guards.update_scripts"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_script_begins_where_it_is_told_to(dialect: str) -> None:
    whole, rest = upgrade_script(dialect, None), upgrade_script(dialect, "0001")
    assert f"CREATE TABLE {VERSION_TABLE}" in whole
    assert "CREATE TABLE users" in whole
    assert "CREATE TABLE changes" in whole
    assert f"CREATE TABLE {VERSION_TABLE}" not in rest
    assert "CREATE TABLE users" not in rest
    assert "CREATE TABLE changes" in rest
    assert HEAD in rest
