"""The collections over a store: `CRUDServiceContract` in process, and the documents that crud serves over HTTP."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from sarvanom.backends.storage.contract import NOBODY, Document, DocumentPage, Origin, Removed, Write, Written
from sarvanom.services.crud.archive import StoredArchive
from sarvanom.services.crud.bulk_lines import LineImport, import_lines
from sarvanom.services.crud.conflicts import id_taken, id_used
from sarvanom.services.crud.history import History
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.stored_log import StoredLog
from sarvanom.services.crud.tenancy import UNBOUND, Tenancy
from sarvanom.shared.change_queries import check_read
from sarvanom.shared.contracts.service_contracts import (
    CacheServiceContract,
    CollectionContract,
    CRUDServiceContract,
    DatasetServiceContract,
    ModelServiceContract,
    SettingsServiceContract,
    UserServiceContract,
)
from sarvanom.shared.errors import (
    FieldError,
    ResourceNotFound,
    ValidationFailed,
)
from sarvanom.shared.invalidation import build_invalidation
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict
from sarvanom.shared.models.crud_models import (
    CacheEntry,
    CacheStats,
    Dataset,
    FilterParams,
    ModelConfiguration,
    Page,
    PaginationParams,
    ResourceModel,
    SystemSetting,
    UserProfile,
)
from sarvanom.shared.preconditions import NO_PRECONDITIONS, Preconditions
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import (
    ACCOUNTS,
    CACHE,
    DATASETS,
    KEYS,
    MODELS,
    SETTINGS,
    USERS,
    Resource,
    check_id,
)
from sarvanom.shared.validation import encode_patch, merge_patch, parse_model, parse_patch


class StoredCollection[M: ResourceModel](CollectionContract[M]):
    """One collection in a store.

    The `*_document` methods hand over documents as bytes, which crud's routes serve; the contract's own methods turn
    them into models.
    """

    def __init__(self, resource: Resource[M], store: SealedStore) -> None:
        self.resource = resource
        self.store = store
        self.history = History(store)

    async def create_document(self, item: M, origin: Origin = NOBODY, tenancy: Tenancy = UNBOUND) -> Written:
        """Store a new item; see `create`. Who was granted something once keeps its id for itself."""
        item = tenancy.owned(item)
        id = self.resource.id_of(item)
        was_here = self.resource.grants and await self.history.knows(self.resource, id)

        def decide(current: Document | None) -> M:
            if current is not None:
                raise id_taken(self.resource)
            if was_here:
                raise id_used(self.resource)
            return item

        return await self.store.write(Write(self.resource, id, decide, item, origin))

    async def read_document(
        self, id: str, tenancy: Tenancy = UNBOUND, *, at_revision: int | None = None, reveal: bool = False
    ) -> Document:
        """Return what is stored, or was at a revision; see `get`."""
        if at_revision is not None:
            return await self.history.read_at(self.resource, id, at_revision, tenancy, reveal=reveal)
        document = tenancy.visible(await (self.store.inner if reveal else self.store).read(self.resource, id))
        if document is None:
            raise self.not_found(id)
        return self.store.open(self.resource, document) if reveal else document

    async def replace_document(
        self, item: M, preconditions: Preconditions, origin: Origin = NOBODY, tenancy: Tenancy = UNBOUND
    ) -> Written:
        """Put the item in the place of the stored one; see `replace`."""
        item = tenancy.owned(item)
        id = self.resource.id_of(item)

        def decide(current: Document | None) -> M:
            if tenancy.visible(current) is None:
                if not preconditions.creates:
                    raise self.not_found(id)
                if current is not None:
                    raise id_taken(self.resource)  # and nothing of its revision
            preconditions.check(None if current is None else current.revision)
            return item

        return await self.store.write(Write(self.resource, id, decide, item, origin))

    async def patch_document(
        self,
        id: str,
        changes: Mapping[str, JsonValue],
        preconditions: Preconditions = NO_PRECONDITIONS,
        origin: Origin = NOBODY,
        tenancy: Tenancy = UNBOUND,
        check: Callable[[M], object] | None = None,
    ) -> Written:
        """Apply a merge patch, if `check` raises nothing of the stored item and of what comes of it; see `patch`."""
        if changes.get(self.resource.id_field, id) != id:
            raise ValidationFailed(
                f"The id of {self.resource.one} cannot be changed",
                errors=[FieldError(self.resource.id_field, f"Must be {id} or absent")],
            )

        def decide(current: Document | None) -> M:
            current = tenancy.visible(current)
            if current is None:
                raise self.not_found(id)
            if check is not None:
                check(self._parse(current.body))
            preconditions.check(current.revision)
            item = parse_model(self.resource.write_model, to_json(self._merged(current, changes)))
            tenancy.check(item)
            if check is not None:
                check(item)
            return item

        return await self.store.write(Write(self.resource, id, decide, origin=origin))

    async def delete_document(
        self,
        id: str,
        preconditions: Preconditions = NO_PRECONDITIONS,
        origin: Origin = NOBODY,
        tenancy: Tenancy = UNBOUND,
        check: Callable[[M], object] | None = None,
    ) -> Written:
        """Remove the stored item, if `check` raises nothing of it; see `delete`."""

        def decide(current: Document | None) -> None:
            current = tenancy.visible(current)
            if current is None:
                raise self.not_found(id)
            if check is not None:
                check(self._parse(current.body))
            preconditions.check(current.revision)

        return await self.store.write(Write(self.resource, id, decide, origin=origin))

    async def list_documents(self, query: ListQuery, tenancy: Tenancy = UNBOUND) -> DocumentPage:
        """Return one page of what matches; see `list`."""
        return await self.store.list(self.resource, tenancy.narrow(self.resource, query))

    async def create(self, item: M) -> M:
        return self._model(await self.create_document(self._checked(item)))

    async def get(self, id: str, *, at_revision: int | None = None, reveal: bool = False) -> M:
        id = check_id(self.resource, id)
        check_read(self.resource, at_revision=at_revision, reveal=reveal)
        return self._parse((await self.read_document(id, at_revision=at_revision, reveal=reveal)).body)

    async def replace(self, item: M, *, if_match: int | None = None, create: bool = False) -> M:
        preconditions = Preconditions.of_write(if_match=if_match, create=create)
        return self._model(await self.replace_document(self._checked(item), preconditions))

    async def patch(self, id: str, changes: Mapping[str, JsonValue], *, if_match: int | None = None) -> M:
        changes = parse_patch(self.resource, encode_patch(changes))
        preconditions = Preconditions.of_write(if_match=if_match)
        return self._model(await self.patch_document(check_id(self.resource, id), changes, preconditions))

    async def delete(self, id: str, *, if_match: int | None = None) -> None:
        await self.delete_document(check_id(self.resource, id), Preconditions.of_write(if_match=if_match))

    async def list(
        self,
        pagination: PaginationParams | None = None,
        filters: FilterParams | None = None,
    ) -> Page[M]:
        query = build_query(self.resource, pagination, filters)
        page = await self.list_documents(query)
        items = [self._parse(body) for body in page.bodies]
        return Page(
            items=items,
            limit=query.limit,
            next_cursor=page.next_cursor,
            total=page.total,
        )

    def import_lines(
        self, lines: Iterable[bytes], *, on_conflict: OnConflict = OnConflict.ERROR
    ) -> AsyncGenerator[ImportResult]:
        return import_lines(LineImport(self.resource, self.store, on_conflict), lines)

    def _merged(self, current: Document, changes: Mapping[str, JsonValue]) -> JsonValue:
        if self.resource.secret is not None:
            return self.store.merge(self.resource, current, changes)
        return merge_patch(from_json(current.body), dict(changes))

    def _checked(self, item: M) -> M:
        """Validate the item as HTTP would: a model can be copied past its validation."""
        return parse_model(self.resource.write_model, item.to_json())

    def _model(self, written: Written) -> M:
        assert written.document is not None  # noqa: S101 (only a deletion leaves none)
        return self._parse(written.document.body)

    def _parse(self, body: bytes) -> M:
        return self.resource.model.model_validate_json(body)

    def not_found(self, id: str) -> ResourceNotFound:
        """Return the refusal of an id under which nothing is stored."""
        return ResourceNotFound(f"There is no {self.resource.name} with {self.resource.id_field} {id!r}")


class StoredCache(StoredCollection[CacheEntry], CacheServiceContract):
    """The cache in a store."""

    async def invalidate(self, *, tag: str | None = None, service: str | None = None) -> int:
        conditions = build_invalidation(tag=tag, service=service)
        return (await self.invalidate_where(conditions)).deleted

    async def invalidate_where(
        self, conditions: tuple[Condition, ...], origin: Origin = NOBODY, tenancy: Tenancy = UNBOUND
    ) -> Removed:
        """Remove what matches; see `invalidate`."""
        narrowed = (*conditions, *tenancy.conditions(self.resource))
        return await self.store.delete_where(self.resource, narrowed, origin)

    async def stats(self) -> CacheStats:
        return await self.store.stats(self.resource)


class StoredUsers(StoredCollection[UserProfile], UserServiceContract):
    """The users in a store."""


class StoredModels(StoredCollection[ModelConfiguration], ModelServiceContract):
    """The model configurations in a store."""


class StoredDatasets(StoredCollection[Dataset], DatasetServiceContract):
    """The datasets in a store."""


class StoredSettings(StoredCollection[SystemSetting], SettingsServiceContract):
    """The settings in a store."""


class StoredCRUDService(CRUDServiceContract):
    """The collections over one store, which it closes."""

    cache: StoredCache
    archive: StoredArchive

    def __init__(self, store: SealedStore) -> None:
        self.store = store
        self.cache = StoredCache(CACHE, store)
        self.users = StoredUsers(USERS, store)
        self.models = StoredModels(MODELS, store)
        self.datasets = StoredDatasets(DATASETS, store)
        self.settings = StoredSettings(SETTINGS, store)
        self.keys = StoredCollection(KEYS, store)
        self.accounts = StoredCollection(ACCOUNTS, store)
        self.archive = StoredArchive(store)
        self.log = StoredLog(store)

    def collection(self, resource: Resource[Any]) -> StoredCollection[Any]:
        """Return the collection that keeps this resource."""
        collection: StoredCollection[Any] = getattr(self, resource.collection)
        return collection

    async def aclose(self) -> None:
        await self.store.aclose()
