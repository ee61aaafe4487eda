"""Pages that the server cuts, so that what does not fit is never sent."""

from functools import lru_cache
from typing import Any, Final

from sarvanom.backends.storage.pages import MAX_PAGE_BYTES, PageRows
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.sql import SQL

_ADDED: Final = 3


async def fetch_page(
    session: Session, sql: SQL, values: dict[str, Any], limit: int, max_bytes: int = MAX_PAGE_BYTES
) -> PageRows:
    """Return the rows of a page as `cut_page` does from the rows that the statement selects."""
    rows = await session.fetch(cut_statement(sql), {**values, "page_rows": limit, "page_bytes": max_bytes})
    return PageRows([row[:-_ADDED] for row in rows], has_more=bool(rows) and rows[-1]["has_next"])


@lru_cache(maxsize=512)
def cut_statement(sql: SQL) -> SQL:
    """Cut off what does not fit into a page; columns are added that tell of each row whether another follows it.

    The server looks at lengths alone, so that what is cut off is never read.
    """
    rows, size = (f"${len(sql.names) + number}::bigint" for number in (1, 2))
    text = (
        "SELECT * FROM (SELECT *, "  # noqa: S608 (our own statement)
        "lead(true, 1, false) OVER rows_so_far AS has_next, "
        "sum(coalesce(octet_length(body), 0)) OVER rows_so_far AS size_so_far, "
        "row_number() OVER rows_so_far AS place "
        f"FROM ({sql.text}) AS page WINDOW rows_so_far AS (ROWS UNBOUNDED PRECEDING)) AS sized "
        f"WHERE place = 1 OR (place <= {rows} AND size_so_far <= {size}) ORDER BY place"
    )
    return SQL(text, (*sql.names, "page_rows", "page_bytes"))
