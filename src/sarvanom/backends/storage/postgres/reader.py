"""Reads by id over the pool: those that are asked for at the same time share one statement."""

import asyncio
from contextvars import Context
from typing import Any, Final

from sarvanom.backends.storage.contract import Document
from sarvanom.backends.storage.documents import now_ms
from sarvanom.backends.storage.postgres.pool import Pool
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import read_statement
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.resources import Resource
from sarvanom.shared.trace_context import begin_span

_MAX_GROUP: Final = 32

type _Found = asyncio.Future[Document | None]


class _Group:
    """Those who wait for rows of one collection, by the id they asked for."""

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource
        self.waiting: dict[str, list[_Found]] = {}
        self.size = 0


class GroupReader:
    """Reads rows by their ids.

    A read joins the group of its collection that has not been sent yet, and thus sees whatever was committed before it
    was asked for. A group is sent as soon as the event loop has taken in what had arrived with its first read and there
    is a connection for it; a lone read is a group of one.
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
        found: _Found = asyncio.get_running_loop().create_future()
        group = self._gathering.get(resource.collection) or self._open(resource)
        group.waiting.setdefault(id, []).append(found)
        group.size += 1
        if group.size == _MAX_GROUP:
            self._close(group)
        if (span := begin_span()) is not None:
            with telling("postgresql", read_statement(resource).text, span):
                return await found
        return await found

    async def aclose(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running)

    def _open(self, resource: Resource[Any]) -> _Group:
        group = self._gathering[resource.collection] = _Group(resource)
        # In a context of its own: the group is not the first one's, who would have it in his log and trace.
        task = asyncio.create_task(self._run(group), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return group

    def _close(self, group: _Group) -> None:
        """Let nobody else join, for the statement may have looked at the database already."""
        if self._gathering.get(group.resource.collection) is group:
            del self._gathering[group.resource.collection]

    async def _run(self, group: _Group) -> None:
        try:
            rows = await self._pool.read(lambda session: self._select(session, group))
        except BaseException as error:  # noqa: BLE001 (every caller hears of it)
            self._close(group)
            failure = error if isinstance(error, Exception) else ServiceUnavailable("The store is closing")
            _fail(group, failure)
        else:
            _tell(group, rows)

    async def _select(self, session: Session, group: _Group) -> dict[str, Document]:
        self._close(group)
        values = {"ids": list(group.waiting), "now": now_ms()}
        rows = await session.fetch(read_statement(group.resource), values)
        return {row[0]: Document(*row) for row in rows}


def _tell(group: _Group, rows: dict[str, Document]) -> None:
    for id, waiting in group.waiting.items():
        row = rows.get(id)
        for found in waiting:
            if not found.done():
                found.set_result(row)


def _fail(group: _Group, failure: Exception) -> None:
    for waiting in group.waiting.values():
        for found in waiting:
            if not found.done():
                found.set_exception(failure.copy() if isinstance(failure, SarvanOMError) else failure)
