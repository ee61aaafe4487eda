"""A store in memory that keeps the contract of the collections which importers fill."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import JsonValue

from sarvanom.shared.contracts.archive_contract import ArchiveContract
from sarvanom.shared.contracts.service_contracts import (
    CollectionContract,
    CRUDServiceContract,
    DatasetServiceContract,
    ModelServiceContract,
    SettingsServiceContract,
)
from sarvanom.shared.errors import (
    FieldError,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    ValidationFailed,
)
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict, Outcome, RestoreSummary
from sarvanom.shared.models.crud_models import (
    Dataset,
    FilterParams,
    ModelConfiguration,
    Page,
    PaginationParams,
    ProblemField,
    ResourceModel,
    SystemSetting,
)
from sarvanom.shared.resources import DATASETS, MODELS, SETTINGS, Resource
from sarvanom.shared.validation import parse_model


class MemoryCollection[M: ResourceModel](CollectionContract[M]):
    """Items as JSON text under their ids; sorting and filtering are not needed here and refused."""

    def __init__(self, resource: Resource[M]) -> None:
        self.resource = resource
        self._revision = 0
        self._stored: dict[str, tuple[int, bytes]] = {}

    async def create(self, item: M) -> M:
        id = self.resource.id_of(item)
        if id in self._stored:
            taken = FieldError(self.resource.id_field, "Is taken")
            raise ResourceConflict(f"There is already a {self.resource.name} with this id", errors=[taken])
        return self._store(item)

    async def get(self, id: str, *, at_revision: int | None = None, reveal: bool = False) -> M:
        revision, text = self._find(id)
        return parse_model(self.resource.model, text).model_copy(update={"revision": revision})

    async def replace(self, item: M, *, if_match: int | None = None, create: bool = False) -> M:
        id = self.resource.id_of(item)
        if create:
            if id in self._stored:
                raise PreconditionFailed(f"{id} exists")
        else:
            self._check_revision(id, if_match)
        return self._store(item)

    async def patch(self, id: str, changes: Mapping[str, JsonValue], *, if_match: int | None = None) -> M:
        raise NotImplementedError

    async def delete(self, id: str, *, if_match: int | None = None) -> None:
        self._check_revision(id, if_match)
        del self._stored[id]

    async def list(
        self,
        pagination: PaginationParams | None = None,
        filters: FilterParams | None = None,
    ) -> Page[M]:
        pagination = pagination or PaginationParams()
        if pagination.sort or (filters and filters.conditions):
            raise ValidationFailed("This store neither sorts nor filters")
        start = int(pagination.cursor or 0) + pagination.skip
        end = start + pagination.limit
        ids: Sequence[str] = [*self._stored][start:end]
        return Page(
            items=[await self.get(id) for id in ids],
            limit=pagination.limit,
            next_cursor=str(end) if end < len(self._stored) else None,
        )

    async def import_lines(
        self, lines: Iterable[bytes], *, on_conflict: OnConflict = OnConflict.ERROR
    ) -> AsyncGenerator[ImportResult]:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            try:
                outcome = await self._import(parse_model(self.resource.model, line), on_conflict)
            except SarvanOMError as error:
                errors = [ProblemField(field=field, message=message) for field, message in error.errors]
                yield ImportResult(
                    line=number,
                    status=error.status,
                    outcome=Outcome.REFUSED,
                    code=error.code,
                    detail=error.detail,
                    errors=errors,
                )
            else:
                yield ImportResult(line=number, status=200, outcome=outcome)

    async def _import(self, item: M, on_conflict: OnConflict) -> Outcome:
        if self.resource.id_of(item) not in self._stored or on_conflict is OnConflict.ERROR:
            await self.create(item)
            return Outcome.CREATED
        if on_conflict is OnConflict.SKIP:
            return Outcome.SKIPPED
        await self.replace(item)
        return Outcome.REPLACED

    def _store(self, item: M) -> M:
        self._revision += 1
        self._stored[self.resource.id_of(item)] = self._revision, item.to_json()
        return item.model_copy(update={"revision": self._revision})

    def _find(self, id: str) -> tuple[int, bytes]:
        if id not in self._stored:
            raise ResourceNotFound(f"There is no {self.resource.name} {id}")
        return self._stored[id]

    def _check_revision(self, id: str, if_match: int | None) -> None:
        if self._find(id)[0] != (if_match or self._find(id)[0]):
            raise PreconditionFailed(f"{id} has another revision")


class MemoryModels(MemoryCollection[ModelConfiguration], ModelServiceContract):
    """Model configurations in memory."""


class MemoryDatasets(MemoryCollection[Dataset], DatasetServiceContract):
    """Datasets in memory."""


class MemorySettings(MemoryCollection[SystemSetting], SettingsServiceContract):
    """Settings in memory."""


class MemoryArchive(ArchiveContract):
    """Text that is handed out, and kept when it is handed in."""

    def __init__(self) -> None:
        self.text = [b'{"format":"sarvanom-export","version":1,"revision":3,', b'...}\n{"end":true,"items":0}\n']
        self.collection: str | None = None
        self.restored = b""

    async def export(self) -> AsyncIterator[bytes]:
        for chunk in self.text:
            yield chunk

    def export_collection(
        self, resource: Resource[Any], filters: FilterParams | None = None, *, sort: str | None = None
    ) -> AsyncIterator[bytes]:
        self.collection = resource.collection
        return self.export()

    async def restore(self, chunks: AsyncIterable[bytes]) -> RestoreSummary:
        async for chunk in chunks:
            self.restored += chunk
        return RestoreSummary(revision=1234, items={"users": 1, "models": 2345})


class MemoryStore(CRUDServiceContract):
    """The three collections that importers fill."""

    archive: MemoryArchive

    def __init__(self) -> None:
        self.models = MemoryModels(MODELS)
        self.datasets = MemoryDatasets(DATASETS)
        self.settings = MemorySettings(SETTINGS)
        self.archive = MemoryArchive()

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()
