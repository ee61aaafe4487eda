"""Calls carried out over the store: what crud answers, put together from stored bytes."""

from typing import Any, Final

from pydantic_core import to_json

from sarvanom.backends.storage.contract import Document, Written
from sarvanom.services.crud.collections import StoredCache, StoredCollection, StoredCRUDService
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
            (resource.collection, operation): _envelope(f"{resource.name} {outcome}")
            for resource in RESOURCES
            for operation, outcome in _OUTCOMES.items()
        }

    async def __call__(self, call: Call) -> Answer:
        """Carry out a call; raises what the collection raises."""
        return await self._perform[call.operation](call, self._collections[call.resource.collection])

    async def _create(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        return self._written(call, await collection.create_document(call.item), 201)

    async def _read(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        document = await collection.read_document(call.id)
        etag = _etag(document)
        if call.preconditions.if_none_match is not None and call.preconditions.is_unchanged(document.revision):
            return Answer(304, [etag])
        return Answer(200, [_CONTENT_TYPE, etag], self._wrap(call, document.body))

    async def _replace(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        written = await collection.replace_document(call.item, call.preconditions)
        return self._written(call, written, 201 if call.preconditions.creates else 200)

    async def _patch(self, call: Call, collection: StoredCollection[Any]) -> Answer:
        return self._written(call, await collection.patch_document(call.id, call.item, call.preconditions), 200)

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
        deleted = await self._cache.invalidate_where(call.conditions)
        return Answer(200, [_CONTENT_TYPE], self._wrap(call, to_json({"deleted": deleted})))

    async def _stats(self, call: Call, _: StoredCollection[Any]) -> Answer:
        return Answer(200, [_CONTENT_TYPE], self._wrap(call, to_json(await self._cache.stats())))

    def _written(self, call: Call, written: Written, status: int) -> Answer:
        assert written.document is not None  # noqa: S101 (only a deletion leaves none)
        headers: Headers = [_CONTENT_TYPE, _etag(written.document), _revision(written)]
        if status == 201:
            headers.append((b"location", call.resource.path(written.document.id).encode()))
        return Answer(status, headers, self._wrap(call, written.document.body))

    def _wrap(self, call: Call, data: bytes) -> bytes:
        return self._envelopes[call.resource.collection, call.operation] + data + _END


_OUTCOMES: Final = {
    Operation.CREATE: "created",
    Operation.READ: "found",
    Operation.REPLACE: "replaced",
    Operation.PATCH: "changed",
    Operation.LIST: "list",
    Operation.INVALIDATE: "invalidated",
    Operation.STATS: "statistics",
}


def _etag(document: Document) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d"' % document.revision)


def _revision(written: Written) -> tuple[bytes, bytes]:
    return (b"sarvanom-revision", b"%d" % written.revision)
