"""The stored texts in the SQLite file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from sarvanom.backends.storage.bodies import (
    PAGE_BYTES,
    PAGE_ROWS,
    PRESENT_TABLES,
    Bodies,
    BodyKey,
    BodyTable,
    Rewrite,
    StoredBody,
)
from sarvanom.backends.storage.pages import cut_page
from sarvanom.backends.storage.sqlite.database import available, open_reader
from sarvanom.backends.storage.sqlite.reader import Readers
from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.sqlite.writer import GroupWriter

_BODY: Final = StoredBody._fields.index("body")


class SQLiteBodies(Bodies):
    """Read by the readers, rewritten by the writer."""

    def __init__(self, readers: Readers, writer: GroupWriter) -> None:
        self._readers = readers
        self._writer = writer

    async def page(self, table: BodyTable, after: BodyKey) -> list[StoredBody]:
        def select(connection: apsw.Connection) -> list[StoredBody]:
            rows = connection.execute(table.page.format(after=":after"), {"after": after})
            return [StoredBody(*row) for row in cut_page(rows, _BODY, PAGE_ROWS, PAGE_BYTES).rows]

        return await self._readers.in_thread(select)

    async def rewrite(self, table: BodyTable, rewrites: Sequence[Rewrite]) -> int:
        text = f"UPDATE {table.name} SET body = :after WHERE {table.key} = :key AND body = :before"  # noqa: S608

        def rewrite(transaction: Transaction) -> int:
            return transaction.rewrite(text, [one._asdict() for one in rewrites])

        return await self._writer.submit(rewrite)


def find_body(path: Path, holding: bytes, lacking: Sequence[bytes]) -> bytes | None:
    """Return the text of a resource, as it is now, that holds some bytes and none of others; None if there is none.

    Raises:
        ServiceUnavailable: the file cannot be read.
    """
    lacks = "".join(f" AND instr(body, :lacking{index}) = 0" for index in range(len(lacking)))
    values = {"holding": holding, **{f"lacking{index}": one for index, one in enumerate(lacking)}}
    with available():
        connection = open_reader(path)
        try:
            for table in PRESENT_TABLES:
                text = f"SELECT body FROM {table.name} WHERE instr(body, :holding) > 0{lacks} LIMIT 1"  # noqa: S608
                row = connection.execute(text, values).fetchone()
                if row is not None:
                    body: bytes = row[0]
                    return body
        finally:
            connection.close()
    return None
