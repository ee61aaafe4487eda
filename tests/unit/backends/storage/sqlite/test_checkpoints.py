"""The log is moved into the file beside the writes, and begins anew; whoever is in the way only delays that."""

import asyncio
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs

from sarvanom.backends.storage.sqlite import checkpoints
from sarvanom.backends.storage.sqlite.checkpoints import Checkpointer
from sarvanom.backends.storage.sqlite.database import open_reader, open_writer
from sarvanom.backends.storage.sqlite.writer import GroupWriter
from sarvanom.shared.resources import DATASETS
from tests.unit.backends.storage.rows import dataset, putting

LONG_PAGES, FEW_PAGES, SECONDS_BETWEEN_TRIES = 40, 8, 0.5
PATIENCE = 30.0
SALTS = slice(16, 24)
"""Where a log's header has what changes whenever it begins anew."""
LOG_LENGTH, MOVED = 16, 96
"""Where the log's index has the number of its last page, and of the last that was moved."""
HOLD_CHECKPOINTS = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)
    print("held", flush=True)
    sys.stdin.read()
"""
"""Takes the lock of the index's file under which one process at a time moves pages (`WAL_CKPT_LOCK`)."""


class Log:
    """What can be seen of a file's log from outside.

    Whoever closes the index lets go of all locks that the process has on it: only for where no other process has any.
    """

    def __init__(self, file: Path) -> None:
        self._log = file.with_name(f"{file.name}-wal")
        self.index = file.with_name(f"{file.name}-shm")

    def salts(self) -> bytes:
        return self._log.read_bytes()[SALTS]

    def length(self) -> int:
        return self._number(LOG_LENGTH)

    def moved(self) -> int:
        return self._number(MOVED)

    def _number(self, offset: int) -> int:
        number: int
        [number] = struct.unpack_from("I", self.index.read_bytes(), offset)
        return number


class Pages:
    """A connection that writes so and so many pages in a commit."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.connection = open_writer(file)
        self.connection.execute("CREATE TABLE pages (page BLOB)")
        self.now = 0.0
        self.checkpointer = Checkpointer(self.connection, lambda: self.now)

    def follow_commit(self) -> None:
        """Do all that is due after a commit, and what the next one would find done."""
        self.checkpointer.note_commit()
        self.checkpointer.close()
        self.checkpointer.note_commit()

    def write(self, count: int) -> None:
        with self.connection:
            for _ in range(count):
                self.connection.execute("INSERT INTO pages VALUES (zeroblob(4000))")


class Datasets:
    """A writer as a store has it, and what it writes."""

    def __init__(self, file: Path) -> None:
        self.log = Log(file)
        self.writer = GroupWriter(open_writer(file))
        self._count = 0

    async def write(self) -> None:
        self._count += 1
        item = dataset(f"d{self._count}", description="x" * 20_000)
        await self.writer.submit(lambda transaction: transaction.write(putting(DATASETS, item)))

    async def write_many(self) -> None:
        """Write more than makes the log long."""
        for _ in range(LONG_PAGES):
            await self.write()

    async def log_begins_anew(self) -> None:
        """Write until it does; that is long before each commit would see to it."""
        before = self.log.salts()
        async with asyncio.timeout(PATIENCE):
            while self.log.salts() == before:
                await self.write()
                await asyncio.sleep(0.01)

    async def log_does_not_begin_anew(self) -> None:
        """See that it does not, once what was moved before has had its effect."""
        await self.write_many()
        before = self.log.salts()
        for _ in range(3):
            await asyncio.sleep(0.05)
            await self.write_many()
            assert self.log.salts() == before


def writing_meanwhile(monkeypatch: pytest.MonkeyPatch, pages: Pages, meanwhile: list[int]) -> list[int]:
    """Write so many pages during each pass; return a list that will have how long the log was at the begin of each."""
    move, lengths = checkpoints._checkpoint, list[int]()

    def move_meanwhile(connection: apsw.Connection) -> checkpoints._Pass | None:
        with open_reader(pages.file) as reader:  # keeps the log from beginning anew
            assert reader.execute("SELECT count(*) FROM pages").get
            made = move(connection)
            pages.write(meanwhile[len(lengths)])
        assert made is not None
        lengths.append(made.pages)
        return made

    monkeypatch.setattr(checkpoints, "_checkpoint", move_meanwhile)
    return lengths


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LOG_PAGES", LONG_PAGES)
    monkeypatch.setattr(checkpoints, "_FEW_PAGES", FEW_PAGES)
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN_TRIES", 0.0)


@pytest.fixture
async def datasets(file: Path) -> AsyncIterator[Datasets]:
    datasets = Datasets(file)
    yield datasets
    await datasets.writer.aclose()


def test_a_long_log_is_moved_beside_the_writer(file: Path) -> None:
    log, pages = Log(file), Pages(file)
    pages.write(LONG_PAGES)
    length, salts = log.length(), log.salts()
    assert log.moved() == 0
    pages.checkpointer.note_commit()
    pages.checkpointer.close()
    assert log.moved() == length
    pages.write(1)
    assert log.salts() != salts
    assert log.length() <= FEW_PAGES


def test_what_was_written_meanwhile_is_moved_too_and_the_last_of_it_by_the_writer(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, pages = Log(file), Pages(file)
    pages.write(LONG_PAGES)
    with monkeypatch.context() as while_it_is_moved:
        lengths = writing_meanwhile(while_it_is_moved, pages, [FEW_PAGES * 3, 1, 1])
        pages.checkpointer.note_commit()
        pages.checkpointer.close()
    assert len(lengths) == 3
    assert log.moved() == lengths[-1] < log.length() <= lengths[-1] + FEW_PAGES
    salts = log.salts()
    pages.checkpointer.note_commit()
    assert log.moved() == log.length()
    assert log.salts() == salts
    pages.write(1)
    assert log.salts() != salts


def test_one_who_writes_as_fast_as_is_moved_is_not_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(file)
    pages.write(LONG_PAGES)
    lengths = writing_meanwhile(monkeypatch, pages, [LONG_PAGES] * 10)
    pages.checkpointer.note_commit()
    pages.checkpointer.close()
    assert len(lengths) == checkpoints._MAX_PASSES


def test_the_log_is_moved_again_when_it_is_long_again(file: Path) -> None:
    log, pages = Log(file), Pages(file)
    lengths: list[int] = []
    for _ in range(LONG_PAGES * 4):
        pages.write(1)
        lengths.append(log.length())
        pages.checkpointer.note_commit()
        pages.checkpointer.close()
    assert max(lengths) < LONG_PAGES * 2
    assert sum(after < before for before, after in pairwise(lengths)) >= 3


def test_what_somebody_still_reads_is_left_to_the_thread_and_tried_again_soon(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, pages = Log(file), Pages(file)
    reader = open_reader(file)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM pages").get == 0
    movers: list[bool] = []
    move = checkpoints._checkpoint

    def noting_who_moves(connection: apsw.Connection) -> checkpoints._Pass | None:
        movers.append(connection is pages.connection)
        return move(connection)

    monkeypatch.setattr(checkpoints, "_checkpoint", noting_who_moves)
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN_TRIES", SECONDS_BETWEEN_TRIES)
    pages.write(LONG_PAGES * 3)
    pages.follow_commit()
    left = log.length() - log.moved()
    assert left >= LONG_PAGES
    reader.close()
    pages.checkpointer.note_commit()
    assert log.length() - log.moved() == left, "it is not yet time"
    pages.now += SECONDS_BETWEEN_TRIES
    pages.checkpointer.note_commit()
    pages.checkpointer.close()
    assert log.moved() == log.length()
    assert not any(movers)


def test_a_log_that_was_left_long_is_moved_with_the_first_commit(file: Path) -> None:
    log, pages = Log(file), Pages(file)
    pages.write(LONG_PAGES)
    later = GroupWriter(open_writer(file))
    assert log.moved() == 0
    asyncio.run(write_and_close(later))
    assert log.moved() >= LONG_PAGES


async def write_and_close(writer: GroupWriter) -> None:
    await writer.submit(lambda transaction: transaction.write(putting(DATASETS, dataset("first"))))
    await writer.aclose()


def test_where_no_thread_is_to_be_had_the_writer_moves_the_log(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, pages = Log(file), Pages(file)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    pages.write(LONG_PAGES)
    pages.checkpointer.note_commit()
    assert log.moved() == log.length()


def test_the_log_is_moved_while_the_writer_is_at_work(file: Path) -> None:
    log, pages = Log(file), Pages(file)
    pages.write(LONG_PAGES)

    def move_meanwhile(*_: object) -> int:
        pages.checkpointer.note_commit()
        pages.checkpointer.close()
        return 1

    pages.connection.create_scalar_function("move_meanwhile", move_meanwhile, 0)
    assert pages.connection.execute("SELECT move_meanwhile()").get == 1
    assert log.moved() == log.length()


def test_a_log_that_cannot_be_moved_is_told_of(file: Path) -> None:
    pages = Pages(file)
    pages.write(LONG_PAGES)
    file.unlink()
    with capture_logs() as told:
        pages.follow_commit()
    assert [(line["log_level"], line["file"]) for line in told] == [("warning", str(file))]
    assert not file.exists()


async def test_a_long_log_begins_anew(datasets: Datasets) -> None:
    await datasets.write_many()
    for _ in range(3):
        await datasets.log_begins_anew()


async def test_a_log_that_somebody_reads_begins_anew_when_that_ends(datasets: Datasets, file: Path) -> None:
    await datasets.write()
    reader = open_reader(file)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM datasets").get == 1
    await datasets.log_does_not_begin_anew()
    assert reader.execute("SELECT count(*) FROM datasets").get == 1
    reader.close()
    await datasets.log_begins_anew()


async def test_a_log_that_another_process_moves_begins_anew_afterwards(datasets: Datasets) -> None:
    await datasets.write()
    command = (sys.executable, "-c", HOLD_CHECKPOINTS, str(datasets.log.index))
    other = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    try:
        assert await other.stdout.readline() == b"held\n"
        with capture_logs() as told:
            await datasets.log_does_not_begin_anew()
        assert told == []
    finally:
        await other.communicate()
    await datasets.log_begins_anew()


async def test_nothing_is_left_in_the_log_of_a_store_that_was_closed(file: Path) -> None:
    datasets = Datasets(file)
    await datasets.write_many()
    await datasets.writer.aclose()
    assert sorted(path.name for path in file.parent.iterdir() if path.name.startswith(file.name)) == [file.name]
    with apsw.Connection(str(file)) as connection:
        assert connection.execute("SELECT count(*) FROM datasets").get == LONG_PAGES
