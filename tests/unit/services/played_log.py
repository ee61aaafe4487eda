"""A revision log in memory, which can be away and be compacted, and counts what it is asked."""

import asyncio
from contextlib import suppress
from typing import Any

from sarvanom.backends.storage.log import Change, ChangePage, RevisionLog, take_page
from sarvanom.backends.storage.pages import MAX_PAGE_BYTES, cut_page
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.resources import Resource


def change(revision: int, **fields: Any) -> Change:
    """Return an entry: a creation of a model, of service `s`, unless `fields` say otherwise."""
    made = Change(revision, "models", f"m{revision}", "create", "s", None, None, "r-1", "t", None, None, b'{"a":1}')
    return made._replace(**fields)


class PlayedLog(RevisionLog):
    """Holds what a test appends."""

    def __init__(self, head: int = 0, floor: int = 0) -> None:
        self.entries = [change(number) for number in range(1, head + 1)]
        self.floor = floor
        self.is_away = False
        self.pages: list[ChangeQuery] = []
        self.waits = 0
        self._written = asyncio.Event()

    def append(self, **fields: Any) -> int:
        """Add a change and wake who waits."""
        revision = len(self.entries) + 1
        self.entries.append(change(revision, **fields))
        self._written.set()
        return revision

    async def bounds(self) -> LogBounds:
        if self.is_away:
            raise ServiceUnavailable("The database is away")
        return LogBounds(self.floor, len(self.entries))

    async def page(self, query: ChangeQuery, max_bytes: int = MAX_PAGE_BYTES) -> ChangePage:
        self.pages.append(query)
        bounds = await self.bounds()
        since = query.begin(bounds)
        found = [
            entry
            for entry in self.entries[since:]
            if query.matches(entry.collection, entry.id, entry.service, entry.left_service)
        ]
        taken, until = take_page(cut_page(found, -1, query.limit, max_bytes), query.limit, bounds.head)
        return ChangePage(taken, until, bounds)

    async def change(self, revision: int) -> Change | None:
        raise AssertionError

    async def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        raise AssertionError

    async def wait(self, since: int, seconds: float) -> int:
        self.waits += 1
        self._written.clear()
        if (await self.bounds()).head <= since:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._written.wait(), seconds)
        return (await self.bounds()).head

    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        raise AssertionError
