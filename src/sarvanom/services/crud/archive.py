"""Exports and restores over the store: `ArchiveContract` in process."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import IO, Any, Final

from sarvanom.backends.storage.contract import Store
from sarvanom.services.crud.export_reader import ExportReader, read_batches
from sarvanom.shared.contracts.archive_contract import ArchiveContract
from sarvanom.shared.errors import ServiceUnavailable, StoreNotEmpty
from sarvanom.shared.models.bulk_models import ExportEnd, ExportHeader, RestoreSummary
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams
from sarvanom.shared.queries import ListQuery
from sarvanom.shared.query_strings import build_query, continued
from sarvanom.shared.resources import Resource

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

    async def restore(self, chunks: AsyncIterable[bytes]) -> RestoreSummary:
        """Take everything in and check it first, so that whoever sends slowly keeps nobody waiting."""
        if (await self._store.log.bounds()).head:
            raise StoreNotEmpty("The store is in use; an export is restored into one that was never used")
        with tempfile.TemporaryFile() as spool:
            reader = ExportReader()
            async for _ in read_batches(_kept(chunks, spool), reader):
                pass
            header = reader.finish()
            revisions = {"revision": header.revision, **header.sequences}
            async with aclosing(read_batches(_again(spool), ExportReader())) as batches:
                counts = await self._store.restore(revisions, batches)
        return RestoreSummary(revision=header.revision, items=dict(counts))


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
