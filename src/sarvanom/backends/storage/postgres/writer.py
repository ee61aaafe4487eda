"""Group commit over one connection: writes that arrive until a transaction has its turn share it."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextvars import Context
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple

import asyncpg

from sarvanom.backends.storage.contract import Write
from sarvanom.backends.storage.documents import unique_conflict
from sarvanom.backends.storage.postgres.connections import Connector
from sarvanom.backends.storage.postgres.failures import translated
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.transaction import Outcome, carry_out
from sarvanom.backends.storage.postgres.transactor import Done, Locked, Transactor, Work
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable, UpstreamTimeout
from sarvanom.shared.observations import WritesCommitted, tell
from sarvanom.shared.trace_context import begin_span

_MAX_GROUP: Final = 256
_MAX_QUEUED: Final = 20_000


class _Job(NamedTuple):
    writes: Sequence[Write]
    future: asyncio.Future[list[Outcome]]


class _Group:
    """Jobs that are carried out together, and what has come of their writes so far.

    `begun_for` is how many jobs waited when it began: a failure before it has taken any is that of these alone.
    """

    def __init__(self, begun_for: int) -> None:
        self.begun_for = begun_for
        self.jobs: list[_Job] = []
        self.writes: list[Write] = []
        self.outcomes: list[Outcome] = []

    def take(self, jobs: list[_Job]) -> None:
        """Take jobs in, which have not been carried out."""
        self.jobs = jobs
        self.writes = [write for job in jobs for write in job.writes]

    def next_part(self, size: int) -> list[Write]:
        """Return the next writes that have no outcome yet, so many at the most."""
        done = len(self.outcomes)
        return self.writes[done : done + size]

    def fail(self, count: int, error: Exception, rest: Exception) -> None:
        """Note an error as the outcome of the next writes, and another one as that of all after them."""
        self.outcomes += [error] * count
        self.outcomes += [rest] * (len(self.writes) - len(self.outcomes))

    def tell(self) -> None:
        """Hand out the outcomes."""
        begin = 0
        for job in self.jobs:
            end = begin + len(job.writes)
            if not job.future.done():
                theirs = self.outcomes[begin:end]
                job.future.set_result([one.copy() if isinstance(one, SarvanOMError) else one for one in theirs])
            begin = end


class GroupWriter:
    """Writes to the resources of one sequence; a lone write is carried out at once."""

    def __init__(self, connector: Connector, sequence: str) -> None:
        self._transactor = Transactor(connector, sequence, lambda: bool(self._jobs))
        self._turn = asyncio.Lock()
        self._jobs: list[_Job] = []
        self._queued = 0
        self._running: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def submit(self, writes: Sequence[Write]) -> list[Outcome]:
        """Return the outcomes of the writes when they are durable.

        That the database is away, or went away during the commit, is the outcome of those writes which that concerns.

        Raises:
            ServiceUnavailable: nothing was tried.
        """
        self._check_open()
        if self._queued > _MAX_QUEUED:
            raise ServiceUnavailable("Too many writes are waiting for the database; try again")
        job = _Job(writes, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._queued += len(writes)
        if self._running is None:
            # In a context of its own: the group is not the first one's, who would have it in his log and trace.
            self._running = asyncio.create_task(self._run(), context=Context())
        span = begin_span()
        if span is None:
            return await job.future
        about = " ".join(dict.fromkeys(write.resource.collection for write in writes))
        with telling("postgresql", "COMMIT", span, summary=f"COMMIT {about}", writes=len(writes)):
            return await job.future

    async def run[T](self, work: Work[T]) -> T:
        """Run other work in a transaction that holds the sequence, to its end even if nobody waits any more.

        Raises:
            ServiceUnavailable, UpstreamTimeout: as `Transactor.run`.
        """
        self._check_open()
        task = asyncio.create_task(self._take_turn(self._transactor.run(work)))
        self._others.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Finish what was submitted, then close the connection."""
        self._is_closed = True
        if self._running is not None:
            await self._running
        await asyncio.gather(*self._others, return_exceptions=True)
        await self._transactor.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ServiceUnavailable("The store is closing")

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._others.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits hears of it; if nobody does, nobody needs to

    async def _take_turn[T](self, work: Coroutine[Any, Any, T]) -> T:
        async with self._turn:
            return await work

    async def _run(self) -> None:
        while self._jobs:
            group = _Group(len(self._jobs))
            began = perf_counter()
            try:
                await self._take_turn(self._commit(group))
            except BaseException as error:  # noqa: BLE001 (every caller hears of it, and the next group is carried out)
                self._fill(group, group.begun_for)
                failure = error if isinstance(error, Exception) else ServiceUnavailable("The store is closing")
                group.fail(0, failure, failure)
            has_failed = all(isinstance(one, ServiceUnavailable | UpstreamTimeout) for one in group.outcomes)
            seconds = perf_counter() - began
            tell(WritesCommitted(len(group.writes), seconds, "failed" if has_failed else "committed"))
            group.tell()
        self._running = None

    def _fill(self, group: _Group, most: int) -> None:
        """Let a group that has no jobs take so many at the most as make a transaction; a job is never divided."""
        if group.jobs:
            return
        size = count = 0
        while count < most and (not count or size + len(self._jobs[count].writes) <= _MAX_GROUP):
            size += len(self._jobs[count].writes)
            count += 1
        group.take(self._jobs[:count])
        self._jobs = self._jobs[count:]
        self._queued -= size

    async def _commit(self, group: _Group) -> None:
        """Carry out a group in as few transactions as it takes; what failed with one stands for those it held."""
        size = _MAX_GROUP
        while not group.jobs or len(group.outcomes) < len(group.writes):
            try:
                outcomes: list[Outcome] = await self._transactor.run(partial(self._work, group, size))
                group.outcomes += outcomes
                size = _MAX_GROUP
            except asyncpg.UniqueViolationError as error:
                # In two transactions goes what collides in one: a value can pass on only once it has been given up.
                part = group.next_part(size)
                if len(part) == 1:
                    group.outcomes.append(_conflict(part[0], error))
                size = max(1, len(part) // 2)
            except SarvanOMError as error:
                self._fill(group, group.begun_for)
                group.fail(len(group.next_part(size)), error, ServiceUnavailable(_detail_of(error)))

    async def _work(self, group: _Group, size: int, session: Session, held: Locked) -> Done[list[Outcome]]:
        """Carry out the next part of a group, which takes in who has come until now: the sequence is held."""
        self._fill(group, len(self._jobs))
        return await carry_out(session, group.next_part(size), held.revision, self._transactor.sequence)


def _detail_of(error: SarvanOMError) -> str:
    return error.detail if isinstance(error, ServiceUnavailable) else "The database broke off; this was not tried"


def _conflict(write: Write, error: Any) -> Exception:
    """Name the field of the constraint that a lone write broke: no process of ours could have been in its way."""
    name: str = error.constraint_name or ""
    for field in write.resource.unique:
        if field in name:
            return unique_conflict(write.resource, field)
    return translated(error)
