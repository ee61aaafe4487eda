"""A PostgreSQL database as the target of a promotion: filled, compared and committed in one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from sarvanom.backends.storage.postgres.connections import Connector, Timeouts
from sarvanom.backends.storage.postgres.failures import FAILURES, translated
from sarvanom.backends.storage.postgres.sessions import Session, close
from sarvanom.backends.storage.promotion import (
    IN_DOUBT,
    Checksum,
    OnStage,
    PromotionInDoubt,
    PromotionRefused,
    Row,
    Stage,
    TableCopy,
)

_PATIENT: Final = Timeouts(connect=5.0, statement=3600.0, lock=10.0, idle=600.0)


class Target:
    """A database in the transaction that fills it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def refuse_unless_empty(self, tables: Sequence[TableCopy]) -> None:
        """Raise `PromotionRefused` if there is anything in a table but counters at 0; lock them all."""
        connection = self._session.connection
        # The snapshot is taken by the first question: nobody may write between it and a lock.
        await connection.execute("".join(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE;" for table in tables))
        for table in tables:
            condition = "value <> 0" if table.name == "counters" else "true"
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table.name} WHERE {condition})"):  # noqa: S608
                raise PromotionRefused(f"The target is not empty: there are rows in {table.name}")
        await connection.execute("DELETE FROM counters")

    async def copy(self, table: TableCopy, rows: AsyncIterator[Row]) -> None:
        """Put rows into a table."""
        await self._session.connection.copy_records_to_table(table.name, records=rows, columns=list(table.columns))

    async def checksum(self, table: TableCopy, batch: int) -> Checksum:
        """Read a table back, so many rows at once."""
        checksum = Checksum()
        cursor = await self._session.connection.cursor(table.select)
        while rows := await cursor.fetch(batch):
            checksum.add([tuple(row) for row in rows])
        return checksum

    async def finish(self) -> None:
        """Let the numbers of idempotency keys go on behind those that were copied."""
        await self._session.connection.execute(
            "SELECT setval(pg_get_serial_sequence('idempotency_keys', 'number'), "
            "(SELECT coalesce(max(number), 0) + 1 FROM idempotency_keys), false)"
        )


@asynccontextmanager
async def open_target(url: str, on_stage: OnStage) -> AsyncIterator[Target]:
    """Open a migrated database; what is done to it is committed at the end, or has never been.

    Raises:
        ServiceUnavailable: it cannot be reached, or broke off.
        PromotionInDoubt: it broke off during the commit.
    """
    session = await Connector(url, _PATIENT).open_any()
    try:
        await session.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        yield Target(session)
        await _commit(session, on_stage)
    except FAILURES as error:
        raise translated(error) from error
    finally:
        await close(session)


async def _commit(session: Session, on_stage: OnStage) -> None:
    """Make it durable, and have the server look at what it has taken, for the sake of its plans."""
    on_stage(Stage.COMMITTING)
    try:
        await session.execute("COMMIT")
    except FAILURES as error:
        raise PromotionInDoubt(f"The target broke off during the commit: {IN_DOUBT}") from error
    on_stage(Stage.COMMITTED)
    with suppress(*FAILURES):  # what is committed is done, and the server will look by itself later
        await session.execute("ANALYZE")
