"""One thread that writes, and group commit: writes that arrive together share one transaction and one fsync."""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, NamedTuple

import apsw

from sarvanom.backends.storage.sqlite.checkpoints import Checkpointer
from sarvanom.backends.storage.sqlite.database import available
from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.observations import CommitOutcome, WritesCommitted, tell
from sarvanom.shared.trace_context import begin_span

_MAX_GROUP: Final = 256
_MAX_LINES: Final = 2048
"""Of an import, in one group: more can be prepared meanwhile, and others wait for less."""


class _Job(NamedTuple):
    work: Callable[[Transaction], Any]
    writes: int
    is_bulk: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    job: _Job
    result: Any
    error: BaseException | None


class _Jobs:
    """What has been submitted and not yet begun, in two lines that take turns.

    So whoever writes one thing does not wait for all that imports have submitted. A line stays in its order.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._single: deque[_Job] = deque()
        self._bulk: deque[_Job] = deque()
        self._is_bulks_turn = False
        self._has_ended = False

    def put(self, job: _Job) -> None:
        """Add a piece of work, from any thread."""
        self._arrived.put(job)

    def end(self) -> None:
        """Say that nothing more will come."""
        self._arrived.put(None)

    def next_group(self) -> list[_Job]:
        """Return what shares the next commit, as soon as there is something; nothing at the end."""
        self._line_up()
        if self._bulk and (self._is_bulks_turn or not self._single):
            self._is_bulks_turn = False
            return _take_lines(self._bulk)
        self._is_bulks_turn = True
        return [self._single.popleft() for _ in range(min(len(self._single), _MAX_GROUP))]

    def _line_up(self) -> None:
        while not self._has_ended:
            try:
                job = self._arrived.get(block=not self._single and not self._bulk)
            except queue.Empty:
                return
            if job is None:
                self._has_ended = True
            else:
                (self._bulk if job.is_bulk else self._single).append(job)


def _take_lines(jobs: deque[_Job]) -> list[_Job]:
    """Take the first job, and those behind it whose lines fit into its transaction."""
    taken = [jobs.popleft()]
    lines = taken[0].writes
    while jobs and (lines := lines + jobs[0].writes) <= _MAX_LINES:
        taken.append(jobs.popleft())
    return taken


class GroupWriter:
    """Runs pieces of work in transactions, many to one transaction, each with its own outcome.

    A lone piece of work is committed at once; pieces that arrive while a commit is under way form the next group.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._checkpointer = Checkpointer(connection)
        self._jobs = _Jobs()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sarvanom-writer", daemon=True)
        self._thread.start()

    async def submit[T](
        self, work: Callable[[Transaction], T], *, writes: int = 0, about: str = "", is_bulk: bool = False
    ) -> T:
        """Return the work's result when it is durable, or raise what it raised.

        Work that raises must not have changed anything. `writes` is how many callers' writes it is, for whoever counts
        them, and `about` what they are writes of. What is bulk lets other work go first, but none that is bulk too.
        """
        if self._closing:
            raise ServiceUnavailable("The store is closing")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        span = begin_span()
        self._jobs.put(_Job(work, writes, is_bulk, loop, future))
        if span is None:
            return await future
        with telling("sqlite", "COMMIT", span, summary=f"COMMIT {about}".strip(), writes=writes):
            return await future

    async def aclose(self) -> None:
        """Finish what was submitted, then close the connection."""
        if not self._closing:
            self._closing = True
            self._jobs.end()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while jobs := self._jobs.next_group():
                _deliver(self._commit(jobs))
                with contextlib.suppress(Exception):  # even that it failed could not be said; writes go on
                    self._checkpointer.note_commit()
        finally:
            self._checkpointer.close()
            self._connection.close()

    def _commit(self, jobs: list[_Job]) -> list[_Outcome]:
        connection = self._connection
        began = perf_counter()
        try:
            with available():
                connection.execute("BEGIN IMMEDIATE")
                transaction = Transaction(connection)
                outcomes = [_attempt(job, transaction) for job in jobs]
                transaction.finish()
                connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 (every caller hears of it, and the thread lives on)
            with contextlib.suppress(apsw.Error):  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            _tell(jobs, began, "failed")
            return [_Outcome(job, None, error) for job in jobs]
        _tell(jobs, began, "committed")
        return outcomes


def _tell(jobs: list[_Job], began: float, outcome: CommitOutcome) -> None:
    writes = sum(job.writes for job in jobs)
    if writes:
        tell(WritesCommitted(writes, perf_counter() - began, outcome))


def _attempt(job: _Job, transaction: Transaction) -> _Outcome:
    """Run one piece of work; a refusal is its own, a failure of the database is the whole group's."""
    try:
        return _Outcome(job, job.work(transaction), None)
    except apsw.Error:
        raise
    except Exception as error:  # noqa: BLE001 (the caller hears of it)
        return _Outcome(job, None, error)


def _deliver(outcomes: list[_Outcome]) -> None:
    """Hand the outcomes to the event loops that wait for them, waking each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.job.loop, []).append(outcome)
    for loop, theirs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        future = outcome.job.future
        if future.done():
            continue
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)
