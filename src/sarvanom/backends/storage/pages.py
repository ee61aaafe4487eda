"""Pages of lists, put together from rows of a body and its sort values."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json

from sarvanom.shared.queries import ListQuery

MAX_PAGE_BYTES: Final = 16 * 2**20


def fill_page(rows: Iterable[Sequence[Any]], query: ListQuery) -> tuple[list[bytes], str | None]:
    """Take rows until the page is full; a cursor follows if there was one more."""
    bodies: list[bytes] = []
    room = MAX_PAGE_BYTES
    last: Sequence[Any] = ()
    for row in rows:
        body = row[0]
        room -= len(body)
        if len(bodies) == query.limit or (room < 0 and bodies):
            return bodies, query.cursor(tuple(last[1:]))
        bodies.append(body)
        last = row
    return bodies, None


def project(body: bytes, fields: tuple[str, ...]) -> bytes:
    """Return the item cut down to some of its fields."""
    item = from_json(body)
    return to_json({name: item[name] for name in fields})
