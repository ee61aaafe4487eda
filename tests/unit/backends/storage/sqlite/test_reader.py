"""Reading in the calling thread and beside it, and queries that take too long."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sarvanom.backends.storage.schema import IncompatibleDatabase
from sarvanom.backends.storage.sqlite import reader as reader_module
from sarvanom.backends.storage.sqlite.database import open_writer
from sarvanom.backends.storage.sqlite.reader import Readers
from sarvanom.backends.storage.tables import COUNTER_NAMES
from sarvanom.shared.errors import ServiceUnavailable

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
def readers(file: Path) -> Iterator[Readers]:
    open_writer(file).close()
    readers = Readers(file)
    yield readers
    readers.close()


def count(connection: apsw.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM counters").get
    return found


async def test_all_ways_read_the_same(readers: Readers) -> None:
    assert readers.inline(count) == await readers.in_thread(count) == len(COUNTER_NAMES)
    text = "SELECT name FROM counters WHERE name = :name"
    assert readers.fetch_one(text, {"name": "hits"}) == ("hits",)
    assert readers.fetch_one(text, {"name": "nothing"}) is None


async def test_long_work_runs_beside_the_caller(readers: Readers) -> None:
    here = threading.get_ident()
    assert await readers.in_thread(lambda _: threading.get_ident()) != here
    assert readers.inline(lambda _: threading.get_ident()) == here


async def test_connections_of_threads_are_kept(readers: Readers) -> None:
    for _ in range(20):
        await readers.in_thread(count)
    assert 1 <= len(readers._opened) <= 4


async def test_query_that_takes_too_long_is_given_up(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(reader_module, "_QUERY_SECONDS", -1.0)
        with pytest.raises(ServiceUnavailable, match="too busy"):
            await readers.in_thread(lambda connection: connection.execute(ENDLESS).get)
    assert await readers.in_thread(count) == len(COUNTER_NAMES)


async def test_query_that_is_interrupted_is_unavailable(readers: Readers) -> None:
    started = threading.Event()

    def endless(connection: apsw.Connection) -> object:
        started.set()
        return connection.execute(ENDLESS).get

    query = asyncio.ensure_future(readers.in_thread(endless))
    await asyncio.to_thread(started.wait)
    await asyncio.to_thread(interrupt_until_done, readers, query)
    with pytest.raises(ServiceUnavailable):
        await query


def interrupt_until_done(readers: Readers, query: asyncio.Future[object]) -> None:
    """Interrupting has no effect in the moment before the statement runs."""
    while not query.done():
        for connection in readers._opened:
            connection.interrupt()


@pytest.mark.parametrize("text", ["SELECT nonsense", "nonsense"])
async def test_defect_in_a_statement_is_no_unavailability(readers: Readers, text: str) -> None:
    with pytest.raises(apsw.SQLError):
        readers.fetch_one(text, {})
    with pytest.raises(apsw.SQLError):
        await readers.in_thread(lambda connection: connection.execute(text))


def test_file_that_turned_into_something_else_is_no_database(file: Path) -> None:
    file.write_bytes(b"x" * 5000)
    readers = Readers.__new__(Readers)
    with pytest.raises(IncompatibleDatabase):
        readers.__init__(file)  # type: ignore[misc]
