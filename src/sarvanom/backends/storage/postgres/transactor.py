"""Transactions that hold a sequence, one after the other over one connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import asyncpg

from sarvanom.backends.storage.postgres.connections import Connector
from sarvanom.backends.storage.postgres.failures import FAILURES, RETRYABLE, translated
from sarvanom.backends.storage.postgres.sessions import Session, close
from sarvanom.backends.storage.postgres.statements import END_BACKEND, OUTCOME, lock_statement
from sarvanom.backends.storage.sql import SQL
from sarvanom.shared.errors import SarvanOMError, UpstreamTimeout

_MAX_TRIES: Final = 5
_DOUBT_SECONDS: Final = 3.0
_SECONDS_BETWEEN_QUESTIONS: Final = 0.05


class Locked(NamedTuple):
    """A sequence that this transaction alone may advance: its last revision, and the transaction's id."""

    revision: int
    transaction: str


class Proof(NamedTuple):
    """A statement that finds a row if what a transaction did is there."""

    sql: SQL
    values: dict[str, Any]


class Done[T](NamedTuple):
    """What a transaction has come to. `has_changes` tells that its commit matters, `proof` how to find its traces."""

    result: T
    has_changes: bool
    proof: Proof | None


type Work[T] = Callable[[Session, Locked], Awaitable[Done[T]]]


class _LostBeforeCommit(Exception):
    """A connection that had served before was gone when it was needed again."""


class _KeyTaken(Exception):
    """Somebody carried out a request of another sequence under the same idempotency key meanwhile."""


class Transactor:
    """Runs transactions on one sequence of revisions.

    The sequence's row is locked first and advanced last, so that revisions are given in commit order without gaps,
    across any number of processes.
    """

    def __init__(self, connector: Connector, sequence: str, has_more: Callable[[], bool]) -> None:
        """Take who connects, the sequence's name, and who tells whether another transaction will follow at once."""
        self.sequence = sequence
        self._connector = connector
        self._has_more = has_more
        self._session: Session | None = None

    async def run[T](self, work: Work[T]) -> T:
        """Run work in a transaction, again if it met another one or the connection had been lost before.

        Raises:
            ServiceUnavailable: the database is away or too busy; nothing was changed.
            UpstreamTimeout: it went away during the commit, and nobody knows.
            UniqueViolationError: the work collides with itself.
        """
        for _ in range(_MAX_TRIES - 1):
            try:
                return await self._try(work)
            except (_KeyTaken, _LostBeforeCommit, *RETRYABLE):
                continue
        try:
            return await self._try(work)
        except (_KeyTaken, _LostBeforeCommit, *RETRYABLE) as error:
            raise translated(error) from error

    async def aclose(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await close(self._session)
            self._session = None

    async def _try[T](self, work: Work[T]) -> T:
        session = await self._open_session()
        doubt: tuple[Locked, Done[T]] | None = None
        try:
            held = await self._lock(session)
            done = await work(session, held)
            doubt = held, done
            await self._commit(session)
        except (asyncpg.UniqueViolationError, *RETRYABLE) as error:
            await self._roll_back(session)
            if getattr(error, "table_name", None) == "idempotency_keys":
                raise _KeyTaken from error
            raise
        except FAILURES as error:
            if doubt is not None:
                return await self._resolve(session, error, *doubt)
            await self._refuse(session, error)
            raise AssertionError from error
        except SarvanOMError:
            await self._roll_back(session)
            raise
        except BaseException:
            self._drop(session)
            raise
        finally:
            session.restore_time()
        session.is_proven = True
        return done.result

    async def _refuse(self, session: Session, error: BaseException) -> None:
        """Raise what an error means that came before the commit was asked for."""
        if not session.has_failed(error):
            await self._roll_back(session)
            raise translated(error) from error
        self._drop(session)
        if session.is_overdue:
            raise translated(TimeoutError()) from error
        if session.is_proven:
            raise _LostBeforeCommit from error
        raise translated(error) from error

    async def _resolve[T](self, lost: Session, error: BaseException, held: Locked, done: Done[T]) -> T:
        """Return the result of a transaction whose commit failed or was not answered, if it was carried out."""
        self._drop(lost)
        if not done.has_changes or await self._has_committed(held.transaction, lost, done.proof):
            return done.result
        raise translated(error) from error

    async def _has_committed(self, transaction: str, lost: Session, proof: Proof | None) -> bool:
        """Ask over another connection what became of a transaction.

        A server that crashed gives the number of a transaction that it has lost to another one: that it was committed
        is believed only where its traces are found.

        Raises:
            UpstreamTimeout: nobody can tell.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DOUBT_SECONDS
        while loop.time() < deadline:
            try:
                session = await self._open_session()
                status = (await session.fetch_one(OUTCOME, {"transaction": transaction}))[0]
                if status == "aborted":
                    return False
                if status == "committed" and proof is not None and await session.fetch_one(*proof) is not None:
                    return True
                if status != "in progress":
                    break
                await session.fetch(END_BACKEND, {"process": lost.process_id, "transaction": transaction})
            except asyncpg.InvalidParameterValueError:
                return False  # the server has not given this number yet: it has lost the transaction
            except (SarvanOMError, *FAILURES):
                if self._session is not None:
                    self._drop(self._session)
            await asyncio.sleep(_SECONDS_BETWEEN_QUESTIONS)
        raise UpstreamTimeout("The database broke off during the commit; the change may or may not have been made")

    async def _open_session(self) -> Session:
        if self._session is None or not self._session.is_open:
            self._session = await self._connector.connect()
        return self._session

    async def _lock(self, session: Session) -> Locked:
        """Begin a transaction, unless the commit before has, and wait for the sequence."""
        if not session.has_begun:
            await session.execute("BEGIN")
        revision, transaction = await session.fetch_one(lock_statement(), {"counter": self.sequence})
        return Locked(revision, transaction)

    async def _commit(self, session: Session) -> None:
        """Commit, and with the same message begin what follows at once."""
        await session.execute("COMMIT AND CHAIN" if self._has_more() else "COMMIT")

    async def _roll_back(self, session: Session) -> None:
        try:
            await session.execute("ROLLBACK")
        except FAILURES:
            self._drop(session)

    def _drop(self, session: Session) -> None:
        session.drop()
        self._session = None
