"""Group commit: one transaction, an outcome for each, and a group that fails harms nobody after it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from sarvanom.backends.storage.contract import Write
from sarvanom.backends.storage.sqlite import writer as writer_module
from sarvanom.backends.storage.sqlite.checkpoints import Checkpointer
from sarvanom.backends.storage.sqlite.database import open_writer
from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.sqlite.writer import GroupWriter
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.resources import DATASETS
from tests.unit.backends.storage.rows import Refused, dataset, putting, refuse
from tests.unit.backends.storage.sqlite.holding import hold

PATIENCE = 30.0
HELD = 1  # the commit of the work that holds the writer back

type Work = Callable[[Transaction], object]


class Probe:
    """A writer whose commits are counted, and whose next groups can be held back."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.commits = 0
        self.failures: list[apsw.Error] = []
        connection.set_commit_hook(self._commit)
        self.writer = GroupWriter(connection)

    def _commit(self) -> bool:
        if self.failures:
            raise self.failures.pop()
        self.commits += 1
        return False

    async def together(self, works: Sequence[Work]) -> list[object]:
        """Submit the works while the writer is busy, so that they wait for it; return their outcomes."""
        gate, first = await hold(self.writer)
        tasks = [asyncio.ensure_future(self.writer.submit(work)) for work in works]
        await asyncio.sleep(0)
        gate.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def probe(file: Path) -> AsyncIterator[Probe]:
    probe = Probe(open_writer(file))
    yield probe
    await probe.writer.aclose()


def write(id: str) -> Work:
    return lambda transaction: transaction.write(putting(DATASETS, dataset(id))).revision


def refused(transaction: Transaction) -> object:
    return transaction.write(Write(DATASETS, "refused", refuse))


def ids(transaction: Transaction) -> list[str]:
    return [row[0] for row in transaction._connection.execute("SELECT dataset_id FROM datasets ORDER BY revision")]


async def test_lone_work_is_committed_at_once(probe: Probe) -> None:
    assert await probe.writer.submit(write("a")) == 1
    assert await probe.writer.submit(write("b")) == 2
    assert probe.commits == 2


async def test_works_that_arrive_together_share_a_commit_in_their_order(probe: Probe) -> None:
    assert await probe.together([write(str(number)) for number in range(100)]) == [*range(1, 101)]
    assert await probe.writer.submit(ids) == [str(number) for number in range(100)]


async def test_group_has_one_commit(probe: Probe) -> None:
    await probe.together([write(str(number)) for number in range(20)])
    assert probe.commits == 1 + HELD


async def test_group_is_at_most_so_large(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_MAX_GROUP", 8)
    assert await probe.together([write(str(number)) for number in range(20)]) == [*range(1, 21)]
    assert probe.commits == 3 + HELD


async def test_who_writes_one_thing_waits_for_one_transaction_of_an_import_at_most(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_MAX_LINES", 10)
    order: list[tuple[int, str]] = []

    def noting(name: str) -> Work:
        return lambda _: order.append((probe.commits - HELD, name))

    gate, held = await hold(probe.writer, is_bulk=True)
    submit = probe.writer.submit
    works = [submit(noting(f"lines {n}"), writes=5, is_bulk=True) for n in range(5)]
    works += [submit(noting("last line"), writes=1, is_bulk=True), submit(noting("one"), writes=1)]
    works += [submit(noting("another"), writes=1), submit(noting("nobody's"))]
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, *tasks)
    assert order == [
        (0, "one"), (0, "another"), (0, "nobody's"),
        (1, "lines 0"), (1, "lines 1"),
        (2, "lines 2"), (2, "lines 3"),
        (3, "lines 4"), (3, "last line"),
    ]  # fmt: skip


async def test_an_import_takes_turns_with_those_who_never_stop_to_write(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_MAX_GROUP", 2)
    order: list[str] = []
    gate, held = await hold(probe.writer)
    works = [probe.writer.submit(lambda _: order.append("one"), writes=1) for _ in range(6)]
    works += [probe.writer.submit(lambda _: order.append("lines"), writes=2048, is_bulk=True) for _ in range(2)]
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, *tasks)
    assert order == ["lines", "one", "one", "lines", "one", "one", "one", "one"]


async def test_refusal_inside_a_group_is_its_own_and_takes_no_revision(probe: Probe) -> None:
    outcomes = await probe.together([write("a"), refused, write("b"), refused, write("c")])
    assert [outcome if isinstance(outcome, int) else type(outcome) for outcome in outcomes] == [
        1, Refused, 2, Refused, 3,
    ]  # fmt: skip
    assert await probe.writer.submit(ids) == ["a", "b", "c"]


async def test_group_of_refusals_alone_changes_nothing(probe: Probe) -> None:
    outcomes = await probe.together([refused, refused])
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused]
    assert await probe.writer.submit(write("a")) == 1


@pytest.mark.parametrize("failure", [apsw.FullError("full"), apsw.IOError("disk"), apsw.BusyError("busy")])
async def test_commit_that_fails_fails_the_group_and_nothing_later(probe: Probe, failure: apsw.Error) -> None:
    await probe.writer.submit(write("before"))
    probe.failures = [failure]
    with pytest.raises(ServiceUnavailable):
        await probe.writer.submit(write("lost"))
    assert not probe.failures
    assert await probe.writer.submit(write("after")) == 2
    assert await probe.writer.submit(ids) == ["before", "after"]


async def test_failure_of_the_database_in_one_work_fails_its_whole_group(probe: Probe) -> None:
    def fail(_: Transaction) -> object:
        raise apsw.FullError("full")

    outcomes = await probe.together([write("a"), fail, write("b")])
    assert [type(outcome) for outcome in outcomes] == [ServiceUnavailable] * 3
    assert await probe.writer.submit(ids) == []
    assert await probe.writer.submit(write("a")) == 1


async def test_refusal_in_a_group_that_fails_is_a_failure_too(probe: Probe) -> None:
    """What it read may not have been durable."""

    def fail(_: Transaction) -> object:
        raise apsw.IOError("gone")

    outcomes = await probe.together([refused, fail])
    assert [type(outcome) for outcome in outcomes] == [ServiceUnavailable] * 2


async def test_disk_that_is_full_fails_writes_until_there_is_room(probe: Probe) -> None:
    connection = probe.connection
    used = connection.pragma("page_count")
    connection.pragma("max_page_count", used + 1)
    big = dataset("big", description="x" * 50_000)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="cannot be used"):
            await probe.writer.submit(lambda transaction: transaction.write(putting(DATASETS, big)))
    assert await probe.writer.submit(ids) == []
    connection.pragma("max_page_count", used + 1_000)
    written = await probe.writer.submit(lambda transaction: transaction.write(putting(DATASETS, big)))
    assert written.revision == 1


async def test_file_that_another_locks_fails_writes_until_it_is_free(probe: Probe, file: Path) -> None:
    other = open_writer(file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ServiceUnavailable, match="too busy"):
        await probe.writer.submit(write("a"))
    other.execute("ROLLBACK")
    other.close()
    assert await probe.writer.submit(write("a")) == 1


async def test_what_goes_wrong_behind_a_commit_ends_no_writer(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Checkpointer) -> None:
        raise OSError("nobody to tell")

    monkeypatch.setattr(Checkpointer, "note_commit", fail)
    async with asyncio.timeout(PATIENCE):
        assert await probe.writer.submit(write("a")) == 1
        assert await probe.writer.submit(write("b")) == 2


async def test_waiter_that_is_cancelled_takes_nobody_with_it(probe: Probe) -> None:
    gate, first = await hold(probe.writer)
    gone = asyncio.ensure_future(probe.writer.submit(write("gone")))
    refusing = asyncio.ensure_future(probe.writer.submit(refused))
    stays = asyncio.ensure_future(probe.writer.submit(write("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    refusing.cancel()
    gate.set()
    assert await first
    assert await stays == 2
    assert gone.cancelled()
    assert refusing.cancelled()
    assert await probe.writer.submit(ids) == ["gone", "stays"]


async def test_work_submitted_after_close_is_refused(probe: Probe) -> None:
    await probe.writer.aclose()
    with pytest.raises(ServiceUnavailable, match="closing"):
        await probe.writer.submit(write("a"))
    await probe.writer.aclose()


async def test_close_finishes_what_was_submitted(probe: Probe, file: Path) -> None:
    gate, _ = await hold(probe.writer)
    tasks = [asyncio.ensure_future(probe.writer.submit(write(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(probe.writer.aclose())
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5]
    with pytest.raises(apsw.ConnectionClosedError):
        probe.connection.pragma("user_version")


def test_loop_that_is_gone_stops_no_writer(file: Path) -> None:
    writer = GroupWriter(open_writer(file))
    gate = threading.Event()

    async def abandon() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await writer.submit(lambda _: gate.wait())

    asyncio.run(abandon())
    gate.set()

    async def go_on() -> object:
        revision = await writer.submit(write("a"))
        await writer.aclose()
        return revision

    assert asyncio.run(go_on()) == 1
