"""The stored texts in PostgreSQL."""

from collections.abc import Sequence

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
from sarvanom.backends.storage.postgres.connections import Connector, Timeouts
from sarvanom.backends.storage.postgres.failures import FAILURES, translated
from sarvanom.backends.storage.postgres.pages import fetch_page
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.removal import count_rows
from sarvanom.backends.storage.postgres.sessions import Session, close
from sarvanom.backends.storage.postgres.transactor import Done, Locked
from sarvanom.backends.storage.postgres.writer import GroupWriter
from sarvanom.backends.storage.sql import SQL


class PostgresBodies(Bodies):
    """Read over the pool; rewritten in turn with the writes to logged resources, of all processes."""

    def __init__(self, pool: Pool, writer: GroupWriter) -> None:
        self._pool = pool
        self._writer = writer

    async def page(self, table: BodyTable, after: BodyKey) -> list[StoredBody]:
        sql, values = SQL(table.page.format(after="$1"), ("after",)), {"after": after}
        page = await self._pool.read_slowly(lambda session: fetch_page(session, sql, values, PAGE_ROWS, PAGE_BYTES))
        return [StoredBody(*row) for row in page.rows]

    async def rewrite(self, table: BodyTable, rewrites: Sequence[Rewrite]) -> int:
        kind = "text" if isinstance(table.first, str) else "bigint"
        sql = SQL(
            f"UPDATE {table.name} SET body = new.after "  # noqa: S608 (our own names)
            f"FROM unnest($1::{kind}[], $2::bytea[], $3::bytea[]) AS new(key, before, after) "
            f"WHERE {table.name}.{table.key} = new.key AND {table.name}.body = new.before",
            ("key", "before", "after"),
        )
        keys, before, after = zip(*rewrites, strict=True)
        values = {"key": list(keys), "before": list(before), "after": list(after)}

        async def rewrite(session: Session, _: Locked) -> Done[int]:
            count = await count_rows(session, sql, values)
            return Done(count, has_changes=bool(count), proof=None)

        return await self._writer.run(rewrite)


async def find_body(url: str, holding: bytes, lacking: Sequence[bytes]) -> bytes | None:
    """Return the text of a resource, as it is now, that holds some bytes and none of others; None if there is none.

    Raises:
        ServiceUnavailable: the database cannot be reached.
    """
    session = await Connector(url, Timeouts(statement=60.0)).open_any()
    names = tuple(f"lacking{index}" for index in range(len(lacking)))
    lacks = "".join(f" AND position(${index}::bytea in body) = 0" for index in range(2, len(lacking) + 2))
    values = {"holding": holding, **dict(zip(names, lacking, strict=True))}
    try:
        for table in PRESENT_TABLES:
            text = f"SELECT body FROM {table.name} WHERE position($1::bytea in body) > 0{lacks} LIMIT 1"  # noqa: S608
            row = await session.fetch_one(SQL(text, ("holding", *names)), values)
            if row is not None:
                return bytes(row[0])
    except FAILURES as error:
        raise translated(error) from error
    finally:
        await close(session)
    return None
