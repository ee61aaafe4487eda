"""Opening the file: what is created, what is refused, and what a failure of SQLite means."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from sarvanom.backends.storage.schema import HEAD, VERSION_TABLE, IncompatibleDatabase
from sarvanom.backends.storage.sqlite.database import (
    APPLICATION_ID,
    available,
    open_reader,
    open_writer,
    translated,
)
from sarvanom.backends.storage.tables import COUNTER_NAMES, METADATA
from sarvanom.shared.errors import ServiceUnavailable


@pytest.fixture
def hooks() -> Iterator[list[Callable[[apsw.Connection], None]]]:
    """What apsw calls with every new connection."""
    yield apsw.connection_hooks
    apsw.connection_hooks.clear()


def test_new_file_has_the_tables_and_counters_and_our_mark(file: Path) -> None:
    with closing(open_writer(file)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {*METADATA.tables, VERSION_TABLE}
        assert dict(connection.execute("SELECT name, value FROM counters")) == dict.fromkeys(COUNTER_NAMES, 0)
        assert connection.pragma("application_id") == APPLICATION_ID
        assert connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").get == HEAD


def test_writer_waits_for_the_disk_and_keeps_foreign_keys(file: Path) -> None:
    with closing(open_writer(file)) as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2
        assert connection.pragma("foreign_keys") == 1
        assert not connection.in_transaction


def test_file_is_opened_again_as_it_was(file: Path) -> None:
    with closing(open_writer(file)) as connection:
        connection.execute("UPDATE counters SET value = 7 WHERE name = 'revision'")
    with closing(open_writer(file)) as one, closing(open_writer(file)) as other:
        for connection in (one, other):
            assert dict(connection.execute("SELECT name, value FROM counters"))["revision"] == 7


def test_reader_cannot_write(file: Path) -> None:
    open_writer(file).close()
    with closing(open_reader(file)) as connection, pytest.raises(ServiceUnavailable), available():
        connection.execute("DELETE FROM counters")


def test_reader_needs_a_file(file: Path) -> None:
    with pytest.raises(ServiceUnavailable):
        open_reader(file)
    assert not file.exists()


@pytest.mark.parametrize("size", [100, 5000])
def test_file_that_is_no_database_is_refused_and_left_alone(file: Path, size: int) -> None:
    file.write_bytes(b"x" * size)
    with pytest.raises(IncompatibleDatabase, match="not an SQLite database"):
        open_writer(file)
    assert file.read_bytes() == b"x" * size


def make_foreign(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def test_database_of_another_program_is_refused(file: Path) -> None:
    make_foreign(file)
    with pytest.raises(IncompatibleDatabase, match="belongs to another program"):
        open_writer(file)


def test_database_of_another_program_is_left_as_it_was(file: Path) -> None:
    make_foreign(file)
    before = file.read_bytes()
    with pytest.raises(IncompatibleDatabase):
        open_writer(file)
    assert file.read_bytes() == before


def test_file_that_is_locked_is_not_opened(file: Path) -> None:
    with closing(open_writer(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable, match="too busy") as caught:
            open_writer(file)
    assert caught.value.headers == {"Retry-After": "1"}


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="cannot be used"):
        open_writer(tmp_path)


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 10, 20, 30])
def test_full_disk_leaves_no_half_made_schema(
    file: Path, hooks: list[Callable[[apsw.Connection], None]], pages: int
) -> None:
    def limit(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", pages)

    hooks.append(limit)
    with pytest.raises(ServiceUnavailable, match="cannot be used"):
        open_writer(file)
    hooks.clear()
    with closing(open_writer(file)) as connection:
        assert connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").get == HEAD


def test_commit_of_the_schema_that_fails_says_why(file: Path, hooks: list[Callable[[apsw.Connection], None]]) -> None:
    """SQLite has rolled back by itself; that a second ROLLBACK finds no transaction is not what failed."""
    hooks.append(lambda connection: connection.set_commit_hook(lambda: True))
    with pytest.raises(apsw.ConstraintError):
        open_writer(file)
    hooks.clear()
    open_writer(file).close()


@pytest.mark.parametrize("error", [apsw.BusyError("x"), apsw.LockedError("x"), apsw.InterruptError("x")])
def test_busy_database_asks_to_try_again_soon(error: apsw.Error) -> None:
    found = translated(error)
    assert isinstance(found, ServiceUnavailable)
    assert found.headers == {"Retry-After": "1"}


@pytest.mark.parametrize(
    "error",
    [apsw.FullError("x"), apsw.IOError("x"), apsw.CantOpenError("x"), apsw.ReadOnlyError("x"), apsw.CorruptError("x")],
)
def test_broken_database_says_nothing_of_how(error: apsw.Error) -> None:
    found = translated(error)
    assert isinstance(found, ServiceUnavailable)
    assert (found.detail, found.headers) == ("The database cannot be used at the moment", {"Retry-After": "10"})


def test_defect_of_ours_stays_what_it_is() -> None:
    defect = apsw.SQLError("no such table")
    assert translated(defect) is defect
    with pytest.raises(apsw.SQLError) as caught, available():
        raise defect
    assert caught.value is defect


def test_what_is_not_sqlites_passes() -> None:
    with pytest.raises(ZeroDivisionError), available():
        raise ZeroDivisionError
