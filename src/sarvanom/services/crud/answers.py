"""Calls carried out over the store: what crud answers, put together from stored bytes."""

from typing import Any, Final

from pydantic_core import to_json

from sarvanom.backends.storage.contract import Document, Removed, Written
from sarvanom.services.crud.collections import StoredCache, StoredCollection, StoredCRUDService
from sarvanom.shared.models.crud_models import Deleted
from sarvanom.shared.preconditions import NO_PRECONDITIONS
from sarvanom.shared.resources import RESOURCES
from sarvanom.web.calls import Answer, Call, Headers, Operation

_CONTENT_TYPE: Final = (b"content-type", b"application/json")


def _envelope(message: str) -> bytes:
    """Return the envelope up to its data."""
    return b'{"status":"success","message":%s,"data":' % to_json(message)


_END: Final = b',"metadata":{}}'


class StoreAnswers:
    """Answers calls out of the store; the `Perform` of crud."""

    def __init__(self, service: StoredCRUDService) -> None:
        self._collections = {resource.collection: service.collection(resource) for resource in RESOURCES}
        self._cache: StoredCache = service.cache
        self._perform = {
            Operation.CREATE: self._create,
            Operation.READ: self._read,
            Operation.REPLACE: self._replace,
            Operation.PATCH: self._patch,
            Operation.DELETE: self._delete,
            Operation.LIST: self._list,
            Operation.INVALIDATE: self._invalidate,
            Operation.STATS: self._stats,
        }
        self._envelopes = {
            (resource.collection, operation): _envelope(outcome.format(resource.name, resource.collection))
            for resource in RESOURCES
            for operation, outcome in _OUTCOMES.items()
        }

    async def __call__(self, call: Call) -> Answer:
        """Carry out a call; raises what the collection raises."""
        return await self._perform[call.operation](call, self._collections[call.resource.collection])

    async def _create(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        return self._written(call, Operation.CREATE, await collection.create_document(call.item))

    async def _read(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        document = await collection.read_document(call.id)
        etag = _etag(document)
        if call.preconditions is not NO_PRECONDITIONS:
            call.preconditions.check_read(document.revision)
            if call.preconditions.is_unchanged(document.revision):
                return Answer(304, [etag])
        return Answer(200, [_CONTENT_TYPE, etag], self._wrap(call, document.body))

    async def _replace(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        written = await collection.replace_document(call.item, call.preconditions)
        if call.preconditions.creates:
            return self._written(call, Operation.CREATE, written)
        return self._written(call, Operation.REPLACE, written)

    async def _patch(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        written = await collection.patch_document(call.id, call.item, call.preconditions)
        return self._written(call, Operation.PATCH, written)

    async def _delete(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        written = await collection.delete_document(call.id, call.preconditions)
        return Answer(204, [_revision(written)])

    async def _list(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        assert call.query is not None  # noqa: S101 (a list is parsed with its query)
        page = await collection.list_documents(call.query)
        metadata: dict[str, Any] = {"limit": call.query.limit, "next_cursor": page.next_cursor}
        if page.total is not None:
            metadata["total"] = page.total
        envelope = self._envelopes[call.resource.collection, Operation.LIST]
        body = b"".join((envelope, b'{"items":[', b",".join(page.bodies), b']},"metadata":', to_json(metadata), b"}"))
        return Answer(200, [_CONTENT_TYPE], body)

    async def _invalidate(self, call: Call, _: StoredCollection[Any]) -> Answer:
        removed = await self._cache.invalidate_where(call.conditions)
        data = to_json(Deleted(deleted=removed.deleted))
        return Answer(200, [_CONTENT_TYPE, _revision(removed)], self._wrap(call, data))

    async def _stats(self, call: Call, _: StoredCollection[Any]) -> Answer:
        return Answer(200, [_CONTENT_TYPE], self._wrap(call, to_json(await self._cache.stats())))

    def _written(self, call: Call, outcome: Operation, written: Written) -> Answer:
        document = written.document
        assert document is not None  # noqa: S101 (only a deletion leaves none)
        headers: Headers = [_CONTENT_TYPE, _etag(document), _revision(written)]
        if outcome is Operation.CREATE:
            headers.append((b"location", call.resource.path(document.id).encode()))
        status = 201 if outcome is Operation.CREATE else 200
        return Answer(status, headers, self._wrap(call, document.body, outcome))

    def _wrap(self, call: Call, data: bytes, outcome: Operation | None = None) -> bytes:
        return self._envelopes[call.resource.collection, outcome or call.operation] + data + _END


_OUTCOMES: Final = {
    Operation.CREATE: "{0} created",
    Operation.READ: "{0} found",
    Operation.REPLACE: "{0} replaced",
    Operation.PATCH: "{0} changed",
    Operation.LIST: "{1} listed",
    Operation.INVALIDATE: "{1} invalidated",
    Operation.STATS: "{1} counted",
}


def _etag(document: Document) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d"' % document.revision)


def _revision(written: Written | Removed) -> tuple[bytes, bytes]:
    return (b"sarvanom-revision", b"%d" % written.revision)
