"""Promotion: a whole store, history and revisions included, from an SQLite file to PostgreSQL."""

from pathlib import Path

from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.promotion import Target, open_target
from sarvanom.backends.storage.promotion import (
    TABLE_COPIES,
    Checksum,
    OnRows,
    OnStage,
    PromotionRefused,
    TableCopy,
    counted,
)
from sarvanom.backends.storage.sqlite.promotion import Source, open_source


async def promote(path: Path, url: str, on_rows: OnRows, on_stage: OnStage = lambda _: None) -> dict[str, int]:
    """Copy everything in one transaction, compare counts and checksums, and only then commit; return the counts.

    The file is locked against writes meanwhile and left as it is. What is interrupted leaves the target empty before
    `Stage.COMMITTING`, and has done everything from `Stage.COMMITTED` on.

    Raises:
        PromotionRefused: the target is not empty, or what it has taken is not what was sent.
        PromotionInDoubt: the target broke off during the commit.
        IncompatibleDatabase, ServiceUnavailable: one side cannot be used.
    """
    await migrate(url)
    with open_source(path) as source:
        async with open_target(url, on_stage) as target:
            await target.refuse_unless_empty(TABLE_COPIES)
            counts = {table.name: await _copy(source, target, table, on_rows) for table in TABLE_COPIES}
            await target.finish()
    return counts


async def _copy(source: Source, target: Target, table: TableCopy, on_rows: OnRows) -> int:
    sent = Checksum()
    await target.copy(table, counted(source.batches(table), sent, table.name, on_rows))
    taken = await target.checksum(table, sent.batch)
    if taken.result != sent.result:
        raise PromotionRefused(
            f"The target has {taken.count} rows in {table.name} with checksum {taken.result[1][:12]}, "
            f"the source {sent.count} with {sent.result[1][:12]}; nothing was kept"
        )
    return sent.count
