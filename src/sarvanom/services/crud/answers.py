"""Calls carried out over the store: what crud answers, put together from stored bytes."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from pydantic_core import to_json

from sarvanom.backends.storage.contract import Document, Removed, Written
from sarvanom.security.principals import Principal
from sarvanom.services.crud.accounts import HashedFields
from sarvanom.services.crud.authority import authority_of
from sarvanom.services.crud.bulk_import import import_stream
from sarvanom.services.crud.bulk_lines import LineImport
from sarvanom.services.crud.collections import StoredCache, StoredCollection, StoredCRUDService
from sarvanom.services.crud.idempotency import CallsInProgress, Origins, origin_of, own_key
from sarvanom.services.crud.key_issuer import Issued, KeyIssuer
from sarvanom.services.crud.streams import LINES_HEADERS, VARY, begin
from sarvanom.services.crud.tenancy import tenancy_of
from sarvanom.shared.models.crud_models import Deleted
from sarvanom.shared.preconditions import NO_PRECONDITIONS
from sarvanom.shared.resources import RESOURCES
from sarvanom.web.calls import Answer, AnyAnswer, Headers, Operation, ResourceCall, StreamedAnswer

_CONTENT_TYPE: Final = (b"content-type", b"application/json")
_log = structlog.get_logger()


def _envelope(message: str) -> bytes:
    """Return the envelope up to its data."""
    return b'{"status":"success","message":%s,"data":' % to_json(message)


_END: Final = b',"metadata":{}}'


type _Check = Callable[[Any], None]
type _Carry = Callable[[ResourceCall, StoredCollection[Any]], Awaitable[AnyAnswer]]


class StoreAnswers:
    """Answers calls out of the store; the `Perform` of crud."""

    def __init__(
        self,
        service: StoredCRUDService,
        issuer: KeyIssuer,
        hashed: HashedFields,
        in_progress: CallsInProgress | None = None,
    ) -> None:
        self._collections = {resource.collection: service.collection(resource) for resource in RESOURCES}
        self._cache: StoredCache = service.cache
        self._archive = service.archive
        self._origins = Origins(service.store.keyring)
        self._issuer = issuer
        self._hashed = hashed
        self._in_progress = in_progress or CallsInProgress()
        self._perform: dict[Operation, _Carry] = {
            Operation.CREATE: self._create,
            Operation.READ: self._read,
            Operation.REPLACE: self._replace,
            Operation.PATCH: self._patch,
            Operation.DELETE: self._delete,
            Operation.LIST: self._list,
            Operation.INVALIDATE: self._invalidate,
            Operation.STATS: self._stats,
            Operation.IMPORT: self._import,
            Operation.EXPORT: self._export,
            Operation.ROTATE: self._rotate,
        }
        self._envelopes = {
            (resource.collection, operation): _envelope(outcome.format(resource.name, resource.collection))
            for resource in RESOURCES
            for operation, outcome in _OUTCOMES.items()
        }

    async def __call__(self, call: ResourceCall) -> AnyAnswer:
        """Carry out a call; raises what the collection raises."""
        with self._in_progress.entered(call):
            return await self._perform[call.operation](call, self._collections[call.resource.collection])

    async def _create(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        item = call.parse_item()
        origin, tenancy = self._origins.of_call(call), tenancy_of(call.principal)
        if not call.resource.is_issued:
            if call.resource.grants:
                (await authority_of(collection.store, call.principal)).check(item)
                item = await self._hashed.item(call.resource, tenancy.owned(item))
            return self._written(call, Operation.CREATE, await collection.create_document(item, origin, tenancy))
        issued = await self._issuer.create(collection, item, call.principal, call.idempotency_key, origin)
        return self._issued(call, Operation.CREATE, issued)

    async def _rotate(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        rotation = call.parse_item()
        key, origin = call.idempotency_key, self._origins.of_call(call)
        issued = await self._issuer.rotate(collection, call.id, rotation, call.principal, key, origin)
        return self._issued(call, Operation.ROTATE, issued)

    async def _read(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        reveal = call.revealed_to is not None
        tenancy = tenancy_of(call.principal)
        document = await collection.read_document(call.id, tenancy, at_revision=call.at_revision, reveal=reveal)
        if call.revealed_to is not None:
            _log_access(call, call.revealed_to, document)
        etag = _etag(document)
        if call.preconditions is not NO_PRECONDITIONS:
            call.preconditions.check_read(document.revision)
            if call.preconditions.is_unchanged(document.revision):
                return Answer(304, [etag])
        return Answer(200, [_CONTENT_TYPE, etag], self._wrap(call, document.body))

    async def _replace(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        item = call.parse_item()
        origin, tenancy = self._origins.of_call(call), tenancy_of(call.principal)
        written = await collection.replace_document(item, call.preconditions, origin, tenancy)
        if call.preconditions.creates:
            return self._written(call, Operation.CREATE, written)
        return self._written(call, Operation.REPLACE, written)

    async def _patch(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        patch = call.parse_item()
        origin, tenancy = self._origins.of_call(call), tenancy_of(call.principal)
        check = await self._grant_check(call, collection)
        changes = await self._hashed.patch(call.resource, call.id, patch)
        written = await collection.patch_document(call.id, changes, call.preconditions, origin, tenancy, check)
        return self._written(call, Operation.PATCH, written)

    async def _delete(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        origin, tenancy = self._origins.of_call(call), tenancy_of(call.principal)
        check = await self._grant_check(call, collection)
        written = await collection.delete_document(call.id, call.preconditions, origin, tenancy, check)
        return Answer(204, _revision_headers(written))

    async def _list(self, call: ResourceCall, collection: StoredCollection[Any]) -> Answer:
        assert call.query is not None  # noqa: S101 (a list is parsed with its query)
        page = await collection.list_documents(call.query, tenancy_of(call.principal))
        metadata: dict[str, Any] = {"limit": call.query.limit, "next_cursor": page.next_cursor}
        if page.total is not None:
            metadata["total"] = page.total
        envelope = self._envelopes[call.resource.collection, Operation.LIST]
        body = b"".join((envelope, b'{"items":[', b",".join(page.bodies), b']},"metadata":', to_json(metadata), b"}"))
        return Answer(200, [_CONTENT_TYPE, VARY], body)

    async def _import(self, call: ResourceCall, collection: StoredCollection[Any]) -> StreamedAnswer:
        assert call.chunks is not None  # noqa: S101 (an import is parsed with its body)
        lines = LineImport(
            call.resource,
            collection.store,
            call.on_conflict,
            origin=origin_of(call),
            key=own_key(call),
            origins=self._origins,
            line_limit=call.line_limit,
            tenancy=tenancy_of(call.principal),
        )
        return StreamedAnswer(200, LINES_HEADERS, import_stream(lines, call.chunks))

    async def _export(self, call: ResourceCall, _: StoredCollection[Any]) -> StreamedAnswer:
        assert call.query is not None  # noqa: S101 (an export is parsed with its query)
        query = tenancy_of(call.principal).narrow(call.resource, call.query)
        return StreamedAnswer(200, LINES_HEADERS, await begin(self._archive.export_query(call.resource, query)))

    async def _invalidate(self, call: ResourceCall, _: StoredCollection[Any]) -> Answer:
        origin, tenancy = self._origins.of_call(call), tenancy_of(call.principal)
        removed = await self._cache.invalidate_where(call.conditions, origin, tenancy)
        data = to_json(Deleted(deleted=removed.deleted))
        return Answer(200, [_CONTENT_TYPE, *_revision_headers(removed)], self._wrap(call, data))

    async def _stats(self, call: ResourceCall, _: StoredCollection[Any]) -> Answer:
        return Answer(200, [_CONTENT_TYPE], self._wrap(call, to_json(await self._cache.stats())))

    async def _grant_check(self, call: ResourceCall, collection: StoredCollection[Any]) -> _Check | None:
        """Return the check of what lets somebody in, before a change and after it; None of everything else."""
        return (await authority_of(collection.store, call.principal)).check if call.resource.grants else None

    def _issued(self, call: ResourceCall, outcome: Operation, issued: Issued) -> Answer:
        """Answer as `_written` does, and tell the secret, which is plain ASCII without quotes."""
        document = issued.written.document
        assert document is not None  # noqa: S101 (something was stored)
        told = document._replace(body=b'%b,"key":"%b"}' % (document.body[:-1], issued.text.encode()))
        return self._written(call, outcome, issued.written._replace(document=told))

    def _written(self, call: ResourceCall, outcome: Operation, written: Written) -> Answer:
        document = written.document
        assert document is not None  # noqa: S101 (only a deletion leaves none)
        headers: Headers = [_CONTENT_TYPE, _etag(document), *_revision_headers(written)]
        if outcome is Operation.CREATE:
            headers.append((b"location", call.resource.path(document.id).encode()))
        status = 201 if outcome is Operation.CREATE else 200
        return Answer(status, headers, self._wrap(call, document.body, outcome))

    def _wrap(self, call: ResourceCall, data: bytes, outcome: Operation | None = None) -> bytes:
        return self._envelopes[call.resource.collection, outcome or call.operation] + data + _END


def _log_access(call: ResourceCall, principal: Principal, document: Document) -> None:
    """Log that secrets were read in plain; the line has the request's id, and nothing of the secrets."""
    place = call.resource.path(call.id)
    _log.info("secrets revealed", to=principal.subject, resource=place, revision=document.revision)


_OUTCOMES: Final = {
    Operation.CREATE: "{0} created",
    Operation.READ: "{0} found",
    Operation.REPLACE: "{0} replaced",
    Operation.PATCH: "{0} changed",
    Operation.LIST: "{1} listed",
    Operation.INVALIDATE: "{1} invalidated",
    Operation.STATS: "{1} counted",
    Operation.ROTATE: "{0} rotated",
}


def _etag(document: Document) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d"' % document.revision)


def _revision_headers(written: Written | Removed) -> Headers:
    revision = (b"sarvanom-revision", b"%d" % written.revision)
    return [revision, (b"idempotency-replayed", b"true")] if written.is_replay else [revision]
