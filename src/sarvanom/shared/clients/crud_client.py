"""The five collections over HTTP."""

from typing import Final
from urllib.parse import urlencode

from pydantic import TypeAdapter

from sarvanom.shared.clients.archive_client import ArchiveClient
from sarvanom.shared.clients.collection_client import CollectionClient, parse_answer
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.key_client import KeyClient
from sarvanom.shared.clients.log_client import RevisionLogClient
from sarvanom.shared.contracts.service_contracts import (
    CacheServiceContract,
    CRUDServiceContract,
    DatasetServiceContract,
    ModelServiceContract,
    SettingsServiceContract,
    UserServiceContract,
)
from sarvanom.shared.invalidation import build_invalidation
from sarvanom.shared.models.crud_models import (
    CacheEntry,
    CacheStats,
    CRUDResponse,
    Dataset,
    Deleted,
    ModelConfiguration,
    SystemSetting,
    UserProfile,
)
from sarvanom.shared.resources import ACCOUNTS, CACHE, DATASETS, MODELS, SETTINGS, USERS

_DELETED: Final = TypeAdapter(CRUDResponse[Deleted])
_STATS: Final = TypeAdapter(CRUDResponse[CacheStats])


class CacheClient(CollectionClient[CacheEntry], CacheServiceContract):
    """Cached answers over HTTP."""

    async def invalidate(self, *, tag: str | None = None, service: str | None = None) -> int:
        """DELETE what matches."""
        build_invalidation(tag=tag, service=service)  # refuses what the service would refuse
        conditions = {name: value for name, value in (("tag", tag), ("service", service)) if value is not None}
        target = f"/{self.resource.collection}?{urlencode(conditions)}"
        return parse_answer(_DELETED, await self._service.request("DELETE", target)).data.deleted

    async def stats(self) -> CacheStats:
        """GET the statistics."""
        return parse_answer(_STATS, await self._service.request("GET", "/cache-stats")).data


class UserClient(CollectionClient[UserProfile], UserServiceContract):
    """Users over HTTP."""


class ModelClient(CollectionClient[ModelConfiguration], ModelServiceContract):
    """Model configurations over HTTP."""


class DatasetClient(CollectionClient[Dataset], DatasetServiceContract):
    """Datasets over HTTP."""


class SettingsClient(CollectionClient[SystemSetting], SettingsServiceContract):
    """Settings over HTTP."""


class CRUDServiceClient(CRUDServiceContract):
    """The whole store over HTTP; closes `service` when it is closed."""

    def __init__(self, service: ServiceClient) -> None:
        self.service = service
        self.cache = CacheClient(service, CACHE)
        self.users = UserClient(service, USERS)
        self.models = ModelClient(service, MODELS)
        self.datasets = DatasetClient(service, DATASETS)
        self.settings = SettingsClient(service, SETTINGS)
        self.keys = KeyClient(service)
        self.accounts = CollectionClient(service, ACCOUNTS)
        self.log = RevisionLogClient(service)
        self.archive = ArchiveClient(service)

    async def aclose(self) -> None:
        """Close the connections to the service."""
        await self.service.aclose()
