"""Exports and restores over the store: `ArchiveContract` in process."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import IO, Any, Final

from sarvanom.backends.storage.contract import Document, Restored, Store, Write
from sarvanom.services.crud.conflicts import id_taken
from sarvanom.services.crud.export_reader import ExportReader, read_batches
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.contracts.archive_contract import ArchiveContract
from sarvanom.shared.errors import ServiceUnavailable, StoreNotEmpty
from sarvanom.shared.models.bulk_models import ExportEnd, ExportHeader, RestoreSummary
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams, ResourceModel
from sarvanom.shared.queries import ListQuery
from sarvanom.shared.query_strings import build_query, continued
from sarvanom.shared.resources import RESOURCES, Resource
from sarvanom.shared.validation import parse_model

_ISSUED: Final = tuple(resource for resource in RESOURCES if resource.is_issued)
_MOST_KEYS: Final = 1000
MAX_EXPORTS: Final = 1
"""How many may be under way in a process: each holds on to a state of the store."""
_READ_BYTES: Final = 2**18


class StoredArchive(ArchiveContract):
    """The archive of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._exports = 0

    async def export(self) -> AsyncGenerator[bytes]:
        if self._exports >= MAX_EXPORTS:
            raise ServiceUnavailable(f"{MAX_EXPORTS} exports are under way already", headers={"Retry-After": "10"})
        self._exports += 1
        try:
            async with self._store.snapshot() as snapshot:
                revisions = dict(snapshot.revisions)
                header = ExportHeader(
                    revision=revisions.pop("revision"), sequences=revisions, exported_at=datetime.now(UTC)
                )
                yield header.model_dump_json().encode() + b"\n"
                count = 0
                async for resource, bodies in snapshot.batches:
                    count += len(bodies)
                    head = b'{"resource":"%s","item":' % resource.collection.encode()
                    yield b"".join(part for body in bodies for part in (head, body, b"}\n"))
                yield ExportEnd(items=count).model_dump_json().encode() + b"\n"
        finally:
            self._exports -= 1

    def export_collection(
        self, resource: Resource[Any], filters: FilterParams | None = None, *, sort: str | None = None
    ) -> AsyncIterator[bytes]:
        return self.export_query(resource, build_query(resource, PaginationParams(limit=1000, sort=sort), filters))

    async def export_query(self, resource: Resource[Any], query: ListQuery) -> AsyncGenerator[bytes]:
        """Yield everything that matches, page by page; see `export_collection`."""
        while True:
            page = await self._store.list(resource, query)
            if page.bodies:
                yield b"\n".join((*page.bodies, b""))
            if page.next_cursor is None:
                return
            query = continued(query, page.next_cursor)

    async def restore(
        self, chunks: AsyncIterable[bytes], check: Callable[[Restored], object] | None = None
    ) -> RestoreSummary:
        """Take everything in and check it first, so that whoever sends slowly keeps nobody waiting.

        Whatever `check` raises of a line refuses all of it.
        Keys that are there stay as they are: whoever restores has one of them.
        """
        if not await self._is_unused():
            raise StoreNotEmpty("The store is in use; an export is restored into one that was never used")
        with tempfile.TemporaryFile() as spool:
            reader = ExportReader()
            async for batch in read_batches(_kept(chunks, spool), reader):
                if check is not None:
                    for restored in batch:
                        check(restored)
            header = reader.finish()
            revisions = {"revision": header.revision, **header.sequences}
            kept = [write for resource in _ISSUED for write in await self._rewrites(resource)]
            async with aclosing(read_batches(_again(spool), ExportReader())) as batches:
                counts = await self._store.restore(revisions, batches)
            await self._store.write_all(kept)
        return RestoreSummary(revision=header.revision, items=dict(counts))

    async def _is_unused(self) -> bool:
        """Tell whether the store holds nothing but keys, and never has; the store makes sure of it itself."""
        bounds = await self._store.log.bounds()
        if bounds.floor or bounds.head > _MOST_KEYS:
            return False
        page = await self._store.log.page(ChangeQuery(since=0, limit=_MOST_KEYS))
        issued = {resource.collection for resource in _ISSUED}
        return all(change.collection in issued for change in page.changes)

    async def _rewrites(self, resource: Resource[Any]) -> list[Write]:
        """Return how what was issued here is stored again, unless the export has brought the very same."""
        page = await self._store.list(resource, build_query(resource, PaginationParams(limit=_MOST_KEYS)))
        return [_rewrite(resource, parse_model(resource.write_model, body)) for body in page.bodies]


def _rewrite(resource: Resource[Any], item: ResourceModel) -> Write:
    id = resource.id_of(item)

    def decide(current: Document | None) -> ResourceModel:
        if current is not None and parse_model(resource.write_model, current.body).to_json() == item.to_json():
            raise id_taken(resource)
        return item

    return Write(resource, id, decide, item)


async def _kept(chunks: AsyncIterable[bytes], spool: IO[bytes]) -> AsyncIterator[bytes]:
    """Pass chunks on, keeping them in a file."""
    async for chunk in chunks:
        await asyncio.to_thread(spool.write, chunk)
        yield chunk


async def _again(spool: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield what was kept."""
    spool.seek(0)
    while chunk := await asyncio.to_thread(spool.read, _READ_BYTES):
        yield chunk
