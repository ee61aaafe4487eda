"""Reading the past: the state at a revision, from the first to the newest."""

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from tests.contracts.samples import CACHE_ENTRY, USER, Sample, new_id
from tests.contracts.test_log import head_of, logged

__all__ = ["logged"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_state_of_every_revision_can_be_read(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    before = await head_of(service)
    first = await collection.create(logged.build(id))
    await collection.create(logged.build(new_id()))
    second = await collection.patch(id, {"service": "other"})
    await collection.delete(id)
    third = await collection.create(logged.build(id))
    expected = [None, first, first, second, None, third]
    for revision, item in enumerate(expected, before):
        if item is None:
            with pytest.raises(ResourceNotFound):
                await collection.get(id, at_revision=revision)
        else:
            assert await collection.get(id, at_revision=revision) == item


async def test_nothing_was_there_at_the_beginning(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    with pytest.raises(ResourceNotFound):
        await service.users.get(user.user_id, at_revision=0)


async def test_future_and_what_is_no_revision_are_refused(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    for revision in (await head_of(service) + 1, 2**53 - 1, 2**53, -1):
        with pytest.raises(ValidationFailed) as caught:
            await service.users.get(user.user_id, at_revision=revision)
        assert [error.field for error in caught.value.errors] == ["at_revision"]


async def test_cache_has_no_past(service: CRUDServiceContract) -> None:
    entry = await service.cache.create(CACHE_ENTRY.build(new_id()))
    with pytest.raises(ValidationFailed) as caught:
        await service.cache.get(entry.key, at_revision=0)
    assert [error.field for error in caught.value.errors] == ["at_revision"]
