"""What type checkers must make of the client; `test_typing.py` has them read this file, and nothing runs it."""

from typing import assert_type

from sarvanom.shared.clients.service_client import CRUDServiceClient, ServiceClientFactory
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.models.crud_models import (
    CacheEntry,
    CacheStats,
    Dataset,
    ModelConfiguration,
    Page,
    SystemSetting,
    UserProfile,
)


async def read_everything() -> None:
    async with ServiceClientFactory().crud() as client:
        assert_type(client, CRUDServiceClient)
        assert_type(await client.users.get("x"), UserProfile)
        assert_type(await client.models.get("x"), ModelConfiguration)
        assert_type(await client.datasets.get("x"), Dataset)
        assert_type(await client.settings.get("x"), SystemSetting)
        assert_type(await client.cache.get("x"), CacheEntry)
        assert_type(await client.users.list(), Page[UserProfile])
        assert_type((await client.models.list()).items, list[ModelConfiguration])
        assert_type(await client.users.patch("x", {"username": "y"}), UserProfile)
        assert_type(await client.cache.stats(), CacheStats)
        assert_type(await client.cache.invalidate(tag="x"), int)
        async for item in client.settings.iterate():
            assert_type(item, SystemSetting)


async def read_through_the_contract(service: CRUDServiceContract) -> None:
    assert_type(await service.users.get("x"), UserProfile)
    assert_type(await service.datasets.create(Dataset(dataset_id="x", name="x")), Dataset)
