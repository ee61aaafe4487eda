"""Reads by id over the pool: those that are asked for at the same time share one statement."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from contextvars import Context
from functools import partial
from typing import Any, Final

from sarvanom.backends.storage.contract import Document
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import read_statement
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.backends.storage.statements import resource_statements
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.resources import Resource
from sarvanom.shared.trace_context import TraceContext, current_notes, span_within

_MAX_GROUP: Final = 32
_MAX_BYTES: Final = 64 * 1024
"""What the text of a row may have that is read with others; a longer one is read once more, alone."""
_PLANNED: Final = 10
"""How many values the server takes an array for that it does not know. It plans anew for every shorter one, which costs
more than reading: so the same id stands in it several times."""

type _Found = asyncio.Future[Document | None]


class _Group:
    """Those who wait for rows of one collection, and the places in traces of those that are recorded, by their ids."""

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource
        self.waiting: dict[str, list[_Found]] = {}
        self.size = 0
        self.places: dict[str, list[TraceContext]] = {}

    @property
    def wanted(self) -> list[str]:
        """The ids that somebody still waits for."""
        return [id for id, waiting in self.waiting.items() if not all(found.done() for found in waiting)]

    def tell(self, id: str, document: Document | None) -> None:
        """Hand a row to all who asked for it."""
        for found in self.waiting[id]:
            if not found.done():
                found.set_result(document)

    def fail(self, ids: Iterable[str], failure: BaseException) -> None:
        """Let all who still wait for these know that there will be no answer."""
        for id in ids:
            for found in self.waiting[id]:
                if not found.done():
                    found.set_exception(failure.copy() if isinstance(failure, SarvanOMError) else failure)


class GroupReader:
    """Reads rows by their ids.

    A group is sent as soon as the event loop has taken in what had arrived with its first read; a lone read is a group
    of one. Nobody joins a group once that has been done, so that a read sees whatever was committed before it.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._gathering: dict[str, _Group] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        """Return the live row with this id, or None.

        Raises:
            ServiceUnavailable: the database is away or too busy.
        """
        if not _may_be_stored(id):
            return None
        found: _Found = asyncio.get_running_loop().create_future()
        group = self._gathering.get(resource.collection) or self._open(resource)
        group.waiting.setdefault(id, []).append(found)
        notes = current_notes.get()
        if notes is not None and (place := notes.recorded) is not None:
            group.places.setdefault(id, []).append(place)
        group.size += 1
        if group.size == _MAX_GROUP:
            self._close(group)
        return await found

    async def aclose(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _open(self, resource: Resource[Any]) -> _Group:
        group = self._gathering[resource.collection] = _Group(resource)
        # In a context of its own: the group is not the first one's, who would have it in his log and trace.
        task = asyncio.create_task(self._run(group), context=Context())
        self._running.add(task)
        task.add_done_callback(partial(self._end, group))
        return group

    def _close(self, group: _Group) -> None:
        """Let nobody else join."""
        if self._gathering.get(group.resource.collection) is group:
            del self._gathering[group.resource.collection]

    def _end(self, group: _Group, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._close(group)
        if task.cancelled():
            group.fail(group.waiting, ServiceUnavailable("The store is closing"))
        elif (error := task.exception()) is not None:
            group.fail(group.waiting, error)

    async def _run(self, group: _Group) -> None:
        self._close(group)
        ids = group.wanted
        if len(ids) > 1:
            await self._read_together(group, ids)
            ids = group.wanted
        if len(ids) == 1:
            await self._read_alone(group, ids[0])
        elif ids:
            outcomes = await asyncio.gather(*(self._read_alone(group, id) for id in ids), return_exceptions=True)
            for id, outcome in zip(ids, outcomes, strict=True):
                if outcome is not None:
                    group.fail([id], outcome)

    async def _read_together(self, group: _Group, ids: Sequence[str]) -> None:
        sql = read_statement(group.resource)
        given = [*ids, *[ids[0]] * (_PLANNED - len(ids))]
        rows = await self._fetch(group, ids, sql, {"ids": given, "now": now_ms(), "most": _MAX_BYTES})
        documents = {row[0]: Document(*row) for row in rows}
        for id in ids:
            document = documents.get(id)
            if document is None or document.body is not None:
                group.tell(id, document)

    async def _read_alone(self, group: _Group, id: str) -> None:
        sql = resource_statements(group.resource, DIALECT).read
        rows = await self._fetch(group, [id], sql, {"id": id, "now": now_ms()})
        group.tell(id, Document(id, *rows[0]) if rows else None)

    async def _fetch(self, group: _Group, ids: Sequence[str], sql: SQL, values: dict[str, Any]) -> Sequence[Any]:
        """Run a statement for some ids; those who asked for them have it in their traces."""

        async def fetch(session: Session) -> Sequence[Any]:
            if not group.places:
                return await session.fetch(sql, values)
            with ExitStack() as told:
                for place in (place for id in ids for place in group.places.get(id, ())):
                    told.enter_context(telling("postgresql", sql.text, span_within(place)))
                return await session.fetch(sql, values)

        return await self._pool.read(fetch)


def _may_be_stored(id: str) -> bool:
    """Tell whether an id is text that PostgreSQL can hold: one that is not would fail all who are read with it."""
    if "\0" in id:
        return False
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return True
