"""Moving a whole store from an SQLite file to PostgreSQL: what is copied, and how both sides are compared."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from sarvanom.backends.storage.tables import METADATA

type Row = tuple[Any, ...]
type OnRows = Callable[[str, int], None]
"""Told after each batch of a table how many rows more are done."""

BATCH: Final = 1_000
"""How many rows are read at once, if they are small."""
BATCH_BYTES: Final = 8 * 2**20


IN_DOUBT: Final = (
    "everything is there, or nothing; run it again, and if it says that the target is not empty, everything is"
)
"""What can be said of a promotion that ended during its commit."""


class PromotionRefused(Exception):
    """The store cannot be moved; the text says why, and nothing was changed."""


class PromotionInDoubt(Exception):
    """The target broke off during the commit; the text says how to see what became of it."""


class Stage(Enum):
    """How far a promotion is, which says what an interruption leaves behind: nothing, one or the other, everything."""

    COPYING = "copying"
    COMMITTING = "committing"
    COMMITTED = "committed"


type OnStage = Callable[[Stage], None]
"""Told when a stage begins; the first is `COPYING`, of which nobody is told."""


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table as it is copied: its columns, and the order in which both sides are compared."""

    name: str
    columns: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def select(self) -> str:
        """The statement that reads the table in its order; both databases take it."""
        names = ", ".join(f'"{name}"' for name in self.columns)
        order = ", ".join(f'"{name}"' for name in self.order)
        return f"SELECT {names} FROM {self.name} ORDER BY {order}"  # noqa: S608 (names of our own tables)


def _copy_of(table: sa.Table) -> TableCopy:
    return TableCopy(
        table.name,
        tuple(column.name for column in table.columns),
        tuple(column.name for column in table.primary_key.columns),
    )


TABLE_COPIES: Final = tuple(_copy_of(table) for table in METADATA.sorted_tables)
"""All tables, those that others refer to first."""


class Checksum:
    """A count and a digest of rows in their order."""

    def __init__(self) -> None:
        self.count = 0
        self.largest = 1
        self._digest = hashlib.sha256()

    def add(self, rows: Sequence[Row]) -> None:
        """Take in rows; each value counts with its type and its length."""
        for row in rows:
            size = 0
            for value in row:
                text = _encoded(value)
                size += len(text)
                self._digest.update(b"%d:" % len(text))
                self._digest.update(text)
            self._digest.update(b"\n")
            self.largest = max(self.largest, size)
        self.count += len(rows)

    @property
    def batch(self) -> int:
        """How many rows such as these may be read at once."""
        return max(1, min(BATCH, BATCH_BYTES // self.largest))

    @property
    def result(self) -> tuple[int, str]:
        """How many rows there were, and their digest."""
        return self.count, self._digest.hexdigest()


def _encoded(value: Any) -> bytes:
    match value:
        case None:
            return b"n"
        case bytes():
            return b"b" + value
        case str():
            return b"t" + value.encode()
        case _:
            return b"i%d" % value


async def counted(
    batches: AsyncIterator[list[Row]], checksum: Checksum, table: str, on_rows: OnRows
) -> AsyncIterator[Row]:
    """Yield the rows of batches one by one, taking each batch into the checksum."""
    async for batch in batches:
        checksum.add(batch)
        for row in batch:
            yield row
        on_rows(table, len(batch))
