"""A store whose secrets are sealed: the one place between what is kept and what is read."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from dataclasses import replace
from typing import Any

import structlog
from pydantic import JsonValue

from sarvanom.backends.storage.contract import (
    NOBODY,
    Decide,
    Document,
    DocumentPage,
    Origin,
    Removed,
    Restored,
    Snapshot,
    Store,
    StoreState,
    Write,
    Written,
)
from sarvanom.security.encryption import KeyMissing, SealBroken
from sarvanom.security.sealed_text import has_sealed, mask, refuse_planted
from sarvanom.security.sealing import Sealer
from sarvanom.security.secret_places import has_mask
from sarvanom.services.crud.masked_log import MaskedLog
from sarvanom.shared.errors import FieldError, InternalError, SarvanOMError, ServiceUnavailable, ValidationFailed
from sarvanom.shared.models.crud_models import CacheStats, ResourceModel
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import Resource

_log = structlog.get_logger()


class SealedStore(Store):
    """Seals what is written to another store, and masks what is read from it; of resources without secrets, nothing.

    Snapshots and restores alone deal in what is kept. `inner` is for who moves what is sealed as it is: a decision
    about a write is told of what is kept, and returns what a caller sent, or what `merge` made.
    """

    log: MaskedLog

    def __init__(self, inner: Store, sealer: Sealer) -> None:
        self.inner = inner
        self.keyring = sealer.keyring
        self.log = MaskedLog(inner.log)
        self.bodies = inner.bodies
        self._sealer = sealer

    async def look(self) -> StoreState:
        return await self.inner.look()

    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        document = await self.inner.read(resource, id)
        return document if resource.secret is None or document is None else _masked(document)

    async def write(self, write: Write) -> Written:
        if write.resource.secret is None:
            return await self.inner.write(write)
        return _told(await self.inner.write(self.prepare(write)))

    def prepare(self, write: Write) -> Write:
        if write.resource.secret is None or write.is_prepared:
            return write
        sealed = self._sealed(write)
        sealed.is_prepared = True
        return sealed

    async def write_all(self, writes: Sequence[Write]) -> list[Written | SarvanOMError]:
        prepared = [self._attempt(write) for write in writes]
        sealed = [one for one in prepared if isinstance(one, Write)]
        outcomes = iter(await self.inner.write_all(sealed) if sealed else ())
        return [_told(next(outcomes)) if isinstance(one, Write) else one for one in prepared]

    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        page = await self.inner.list(resource, query)
        return page if resource.secret is None else page._replace(bodies=[mask(body) for body in page.bodies])

    async def delete_where(
        self, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin = NOBODY
    ) -> Removed:
        return await self.inner.delete_where(resource, conditions, origin)

    async def reclaim(self) -> int:
        return await self.inner.reclaim()

    async def forget_keys(self, before: str) -> int:
        return await self.inner.forget_keys(before)

    async def stats(self, resource: Resource[Any]) -> CacheStats:
        return await self.inner.stats(resource)

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self.inner.snapshot()

    async def restore(
        self, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
    ) -> Mapping[str, int]:
        async with aclosing(self._admitted(batches)) as admitted:
            return await self.inner.restore(revisions, admitted)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def open(self, resource: Resource[Any], document: Document) -> Document:
        """Return a document of the inner store with its secrets in plain.

        Raises:
            ServiceUnavailable: a master key is not here.
            InternalError: what is sealed was changed.
        """
        with _explained():
            return document._replace(body=self._sealer.open(resource, document.id, document.body))

    def merge(self, resource: Resource[Any], document: Document, changes: Mapping[str, JsonValue]) -> JsonValue:
        """Return what is kept with a caller's merge patch applied; to be given back by the decision about a write."""
        with _explained():
            return self._sealer.merge(resource, document.id, document.body, changes)

    def seal(self, resource: Resource[Any], item: ResourceModel) -> ResourceModel:
        """Return an item that was kept before, with its secrets sealed if they were not yet."""
        return item if resource.secret is None else self._sealer.seal(resource, item)

    def _attempt(self, write: Write) -> Write | SarvanOMError:
        try:
            return self.prepare(write)
        except SarvanOMError as error:
            return error

    def _sealed(self, write: Write) -> Write:
        """Return a write that keeps secrets sealed: beforehand, where that does not depend on what is kept."""
        resource, item = write.resource, write.item
        if item is None:
            return replace(write, decide=self._settled(write))
        text = write.text or item.to_json()
        refuse_planted(text)
        match self._sealer.secrets_of(resource, item):
            case []:
                write.text = text
                return write
            case secrets if any(map(has_mask, secrets)):
                return replace(write, decide=self._settled(write), item=None, text=None)
        sealed = self._sealer.seal(resource, item)

        def decide(current: Document | None) -> ResourceModel:
            write.decide(current)
            return sealed

        return replace(write, decide=decide, item=sealed, text=sealed.to_json())

    def _settled(self, write: Write) -> Decide:
        def decide(current: Document | None) -> ResourceModel | None:
            item = write.decide(current)
            if item is None:
                return None
            with _explained():
                return self._sealer.settle(write.resource, item, None if current is None else current.body)

        return decide

    async def _admitted(self, batches: AsyncIterator[Sequence[Restored]]) -> AsyncGenerator[Sequence[Restored]]:
        async for batch in batches:
            yield [self._admit(restored) for restored in batch]

    def _admit(self, restored: Restored) -> Restored:
        if restored.resource.secret is None:
            return restored
        try:
            return restored._replace(item=self._sealer.admit(restored.resource, restored.item))
        except ValidationFailed as error:
            errors = [FieldError(f"item.{field}" if field else "item", message) for field, message in error.errors]
            raise ValidationFailed(f"Line {restored.line} of the export is not valid", errors=errors) from None


@contextmanager
def _explained() -> Iterator[None]:
    """Say what it means that a value does not open."""
    try:
        yield
    except KeyMissing as error:
        raise ServiceUnavailable(f"A secret is sealed by master key {error}, which is not here") from None
    except SealBroken as error:
        _log.error("a sealed value does not open: it was changed or moved", place=str(error))
        raise InternalError("A secret was damaged; the log says which") from None


def _masked(document: Document) -> Document:
    return document._replace(body=mask(document.body)) if has_sealed(document.body) else document


def _told[T: Written | SarvanOMError](outcome: T) -> T | Written:
    """Return an outcome as its caller is told of it."""
    if isinstance(outcome, SarvanOMError) or (document := outcome.document) is None:
        return outcome
    masked = _masked(document)
    return outcome if masked is document else outcome._replace(document=masked)
