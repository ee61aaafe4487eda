"""The revision log as it is read: secrets masked."""

from typing import Any, Final

from sarvanom.backends.storage.log import Change, ChangePage, RevisionLog
from sarvanom.backends.storage.pages import MAX_PAGE_BYTES
from sarvanom.security.sealed_text import mask
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.resources import RESOURCES, Resource

_WITH_SECRETS: Final = frozenset(resource.collection for resource in RESOURCES if resource.secret is not None)


class MaskedLog(RevisionLog):
    """Another log, whose changes are told with their secrets masked."""

    def __init__(self, inner: RevisionLog) -> None:
        self._inner = inner

    async def bounds(self) -> LogBounds:
        return await self._inner.bounds()

    async def page(self, query: ChangeQuery, max_bytes: int = MAX_PAGE_BYTES) -> ChangePage:
        page = await self._inner.page(query, max_bytes)
        return page._replace(changes=[_masked(change) for change in page.changes])

    async def change(self, revision: int) -> Change | None:
        change = await self._inner.change(revision)
        return None if change is None else _masked(change)

    async def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        change = await self._inner.state(resource, id, revision)
        return None if change is None else _masked(change)

    async def wait(self, since: int, seconds: float) -> int:
        return await self._inner.wait(since, seconds)

    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        return await self._inner.compact(keep=keep, before=before)


def _masked(change: Change) -> Change:
    if change.body is None or change.collection not in _WITH_SECRETS:
        return change
    body = mask(change.body)
    return change if body is change.body else change._replace(body=body)
