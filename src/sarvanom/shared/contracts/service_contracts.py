"""What the services promise, whether they are in this process or behind HTTP.

`CRUDServiceContract` gathers the five collections. Each collection obeys `CollectionContract`; the typed contracts add
what their resource alone needs. One contract suite runs over every implementation.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from typing import Self

from pydantic import JsonValue

from sarvanom.shared.contracts.archive_contract import ArchiveContract
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.log_contract import RevisionLogContract
from sarvanom.shared.errors import ResourceNotFound
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
from sarvanom.shared.resources import Resource


class CollectionContract[M: ResourceModel](ABC):
    """The operations that every collection has.

    Every write advances the store's revision and returns, or removes, the item as it was stored. All methods raise
    `ServiceUnavailable` while what they depend on is away.
    """

    resource: Resource[M]

    @abstractmethod
    async def create(self, item: M) -> M:
        """Store a new item. Not idempotent: the second time raises.

        Raises:
            ResourceConflict: the id or a unique field is taken; `errors` names which.
            ValidationFailed: the item breaks a rule.
        """

    @abstractmethod
    async def get(self, id: str, *, at_revision: int | None = None, reveal: bool = False) -> M:
        """Return the item with this id, as it is or as it was when the store was at a revision.

        Its secrets are masks, as they are wherever it is returned; with `reveal` they are in plain.

        Raises:
            Forbidden: who asks may not see secrets.
            ResourceNotFound: there is none, or its time ran out; there was none then.
            RevisionCompacted: the state at that revision is no longer held.
            ValidationFailed: the revision is still to come, or the collection has no history, or no secrets.
        """

    @abstractmethod
    async def replace(self, item: M, *, if_match: int | None = None, create: bool = False) -> M:
        """Put the item in the place of the one with its id. Idempotent, but for the revision.

        `if_match` is the revision that the stored item must have. With `create`, the item must not exist yet.

        Raises:
            ResourceNotFound: there is none, and `create` was not asked for.
            PreconditionFailed: the stored item has another revision, or exists although `create` was asked for.
            ResourceConflict: a unique field is taken.
        """

    @abstractmethod
    async def patch(self, id: str, changes: Mapping[str, JsonValue], *, if_match: int | None = None) -> M:
        """Apply a JSON Merge Patch (RFC 7396): null removes and so restores a default, what is absent stays.

        Raises:
            ResourceNotFound, PreconditionFailed, ResourceConflict: as for `replace`.
            ValidationFailed: the outcome would break a rule, or the patch changes the id.
        """

    @abstractmethod
    async def delete(self, id: str, *, if_match: int | None = None) -> None:
        """Remove the item. The second time raises.

        Raises:
            ResourceNotFound: there is none.
            PreconditionFailed: the stored item has another revision.
        """

    @abstractmethod
    async def list(
        self,
        pagination: PaginationParams | None = None,
        filters: FilterParams | None = None,
    ) -> Page[M]:
        """Return one page of what matches.

        Raises:
            ValidationFailed: a filter, sort or cursor is none that this collection knows.
        """

    @abstractmethod
    def import_lines(
        self, lines: Iterable[bytes], *, on_conflict: OnConflict = OnConflict.ERROR
    ) -> AsyncGenerator[ImportResult]:
        """Store items given as JSON texts, each on one line, and yield what became of each, in their order.

        A line fails alone. Blank ones are counted and passed over. How many are taken ahead is bounded.
        """

    def import_items(
        self, items: Iterable[M], *, on_conflict: OnConflict = OnConflict.ERROR
    ) -> AsyncGenerator[ImportResult]:
        """Store many items, and yield what became of each, in their order; the first is line 1."""
        return self.import_lines((item.to_request() for item in items), on_conflict=on_conflict)

    async def iterate(self, filters: FilterParams | None = None, *, sort: str | None = None) -> AsyncIterator[M]:
        """Yield everything that matches, page by page; what is written meanwhile may or may not be seen."""
        cursor: str | None = None
        while True:
            page = await self.list(PaginationParams(limit=1000, cursor=cursor, sort=sort), filters)
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def _only(self, filters: FilterParams) -> M:
        """Return the one item that matches filters on unique fields."""
        page = await self.list(PaginationParams(limit=1), filters)
        if not page.items:
            raise ResourceNotFound(f"There is no {self.resource.name} with {filters.conditions}")
        return page.items[0]


class CacheServiceContract(CollectionContract[CacheEntry]):
    """Cached answers, which expire and are invalidated together."""

    @abstractmethod
    async def invalidate(self, *, tag: str | None = None, service: str | None = None) -> int:
        """Remove the entries that bear the tag and belong to the service; return how many there were. Idempotent.

        Raises:
            ValidationFailed: neither was given; a cache is never emptied by accident.
        """

    @abstractmethod
    async def stats(self) -> CacheStats:
        """Return what the cache holds, and its counters."""


class UserServiceContract(CollectionContract[UserProfile]):
    """Users, found by what they call themselves."""

    async def by_username(self, username: str) -> UserProfile:
        """Return the user with this name, whatever its case; raises `ResourceNotFound`."""
        return await self._only(FilterParams(username=username))

    async def by_email(self, email: str) -> UserProfile:
        """Return the user with this address, whatever its case; raises `ResourceNotFound`."""
        return await self._only(FilterParams(email=email))


class ModelServiceContract(CollectionContract[ModelConfiguration]):
    """Model configurations, chosen by priority."""

    async def enabled(self, service: str) -> Sequence[ModelConfiguration]:
        """Return the service's enabled models, highest priority first, then by name."""
        filters = FilterParams(service=service, enabled=True)
        return [item async for item in self.iterate(filters, sort="-priority,model_name")]


class DatasetServiceContract(CollectionContract[Dataset]):
    """Datasets, found by their format."""

    async def in_format(self, format: str) -> Sequence[Dataset]:
        """Return the datasets in this format, by name."""
        return [item async for item in self.iterate(FilterParams(format=format), sort="name")]


class SettingsServiceContract(CollectionContract[SystemSetting]):
    """Settings, read a category at a time."""

    async def category(self, category: str) -> Mapping[str, JsonValue]:
        """Return the settings of a category as a mapping from key to value; empty if there are none."""
        filters = FilterParams(category=category)
        return {item.setting_key: item.setting_value async for item in self.iterate(filters)}


class CRUDServiceContract(ABC):
    """The whole store: five collections, their log, and all of it as text.

    An async context manager; leaving it releases its connections.
    """

    cache: CacheServiceContract
    users: UserServiceContract
    models: ModelServiceContract
    datasets: DatasetServiceContract
    settings: SettingsServiceContract
    log: RevisionLogContract
    archive: ArchiveContract

    @abstractmethod
    async def aclose(self) -> None:
        """Release what is held; idempotent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class ServiceDiscoveryContract(ABC):
    """Where the instances of a service are, and which of them are well."""

    @abstractmethod
    async def endpoints(self) -> Sequence[Endpoint]:
        """Return every known instance with its health, in a stable order.

        Raises:
            ServiceUnavailable: none is known, and the source cannot be asked.
        """

    @abstractmethod
    def latest(self) -> Sequence[Endpoint]:
        """Return the instances that are known now, without asking for them; none before the first answer."""

    @abstractmethod
    def report(self, endpoint: Endpoint, *, healthy: bool) -> None:
        """Tell what came of a request to the instance; an unhealthy one is left out until a probe finds it well."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop probing; idempotent."""
