"""Where a page ends, and what a page of a list is made of.

A page has at most so many rows, and of bytes so many that the bodies of its rows together stay within a bound; a first
row that is larger is a page alone. SQLite's rows are cut here as they are read; PostgreSQL cuts its own by the same
rule (`postgres/pages.py`), and says as this does whether there was more.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from sarvanom.shared.queries import ListQuery

MAX_PAGE_BYTES: Final = 16 * 2**20


class PageRows(NamedTuple):
    """The rows of one page, and whether others follow them."""

    rows: list[Sequence[Any]]
    has_more: bool


def cut_page(rows: Iterable[Sequence[Any]], body: int, limit: int, max_bytes: int = MAX_PAGE_BYTES) -> PageRows:
    """Take the rows of a page; `body` is the place of the column whose bytes count."""
    taken: list[Sequence[Any]] = []
    room = max_bytes
    for row in rows:
        room -= len(row[body] or b"")
        if taken and (len(taken) == limit or room < 0):
            return PageRows(taken, has_more=True)
        taken.append(row)
    return PageRows(taken, has_more=False)


def list_page(page: PageRows, query: ListQuery) -> tuple[list[bytes], str | None]:
    """Return the items of rows of a body and its sort values; a cursor follows if there is more."""
    cursor = query.cursor(tuple(page.rows[-1][1:])) if page.has_more else None
    bodies: list[bytes] = [row[0] for row in page.rows]
    if query.fields is not None:
        bodies = [_project(body, query.fields) for body in bodies]
    return bodies, cursor


def _project(body: bytes, fields: tuple[str, ...]) -> bytes:
    """Return the item cut down to some of its fields."""
    item = from_json(body)
    return to_json({name: item[name] for name in fields})
