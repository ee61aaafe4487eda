"""Many writers at once: one wins where only one can, and nobody's write is lost or lent to another."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import PreconditionFailed, ResourceConflict, ResourceNotFound, SarvanOMError
from sarvanom.shared.models.crud_models import SystemSetting
from tests.contracts.samples import SETTING, USER, Sample, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRITERS = 20


async def outcomes(*writes: Awaitable[Any]) -> tuple[list[Any], Counter[type]]:
    """Return what the writes that succeeded returned, and how many others raised what."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    errors = Counter(type(result) for result in results if isinstance(result, BaseException))
    return [result for result in results if not isinstance(result, BaseException)], errors


async def test_one_of_many_creations_of_an_id_wins(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    items = [sample.build(id, service=f"writer {number}") for number in range(WRITERS)]
    won, errors = await outcomes(*map(collection.create, items))
    assert (len(won), errors) == (1, {ResourceConflict: WRITERS - 1})
    assert await collection.get(id) == won[0]


async def test_one_of_many_conditional_creations_wins(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    items = [sample.build(id, service=f"writer {number}") for number in range(WRITERS)]
    won, errors = await outcomes(*(collection.replace(item, create=True) for item in items))
    assert (len(won), errors) == (1, {PreconditionFailed: WRITERS - 1})
    assert await collection.get(id) == won[0]


async def test_one_of_many_users_gets_a_name(service: CRUDServiceContract) -> None:
    name = new_id()
    users = [USER.build(new_id(), username=name.upper() if number % 2 else name) for number in range(WRITERS)]
    won, errors = await outcomes(*map(service.users.create, users))
    assert (len(won), errors) == (1, {ResourceConflict: WRITERS - 1})
    assert await service.users.by_username(name) == won[0]
    for user in users:
        if user.user_id != won[0].user_id:
            await service.users.create(user.model_copy(update={"username": new_id()}))


async def test_one_of_many_deletions_wins(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    await collection.create(sample.build(id))
    won, errors = await outcomes(*(collection.delete(id) for _ in range(WRITERS)))
    assert (len(won), errors) == (1, {ResourceNotFound: WRITERS - 1})


async def test_patches_of_different_keys_all_land(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id(), preferences={}))
    patches: list[dict[str, Any]] = [
        {"preferences": {f"key {number}": {"number": number}}} for number in range(WRITERS)
    ]
    patched, errors = await outcomes(*(service.users.patch(user.user_id, patch) for patch in patches))
    assert not errors
    assert len({each.revision for each in patched}) == WRITERS
    final = await service.users.get(user.user_id)
    assert final.preferences == {f"key {number}": {"number": number} for number in range(WRITERS)}
    assert final.revision == max(each.revision for each in patched)
    by_revision = sorted(patched, key=lambda each: each.revision or 0)
    assert [len(each.preferences) for each in by_revision] == list(range(1, WRITERS + 1)), "each saw those before"


async def test_one_conditional_update_wins_for_each_revision(service: CRUDServiceContract) -> None:
    current = await service.settings.create(SystemSetting(setting_key=new_id(), setting_value=0))
    for round_number in range(5):
        updates = [
            service.settings.patch(
                current.setting_key, {"setting_value": [round_number, number]}, if_match=current.revision
            )
            for number in range(WRITERS)
        ]
        won, errors = await outcomes(*updates)
        assert (len(won), errors) == (1, {PreconditionFailed: WRITERS - 1})
        current = await service.settings.get(current.setting_key)
        assert current == won[0]


async def test_counter_kept_by_conditional_updates_loses_nothing(service: CRUDServiceContract) -> None:
    key = new_id()
    await service.settings.create(SystemSetting(setting_key=key, setting_value=0))

    async def add_one() -> None:
        while True:
            current = await service.settings.get(key)
            assert isinstance(current.setting_value, int)
            item = SystemSetting(setting_key=key, setting_value=current.setting_value + 1)
            try:
                await service.settings.replace(item, if_match=current.revision)
            except PreconditionFailed:
                continue
            return

    await asyncio.gather(*(add_one() for _ in range(WRITERS)))
    assert (await service.settings.get(key)).setting_value == WRITERS


async def test_writes_that_share_a_moment_have_outcomes_of_their_own(service: CRUDServiceContract) -> None:
    """Refused ones between others take nothing with them."""
    category = new_id()
    taken = await service.users.create(USER.build(new_id()))
    writes: list[Awaitable[Any]] = []
    for number in range(15):
        writes += [
            service.settings.create(SETTING.build(f"{category}/{number}", category=category)),
            service.users.create(USER.build(f"{category}/{number}", email=taken.email)),
            service.settings.delete(f"{category}/missing/{number}"),
            service.users.patch(taken.user_id, {"service": "another"}, if_match=0),
        ]
    won, errors = await outcomes(*writes)
    assert errors == {ResourceConflict: 15, ResourceNotFound: 15, PreconditionFailed: 15}
    assert [each.setting_key for each in won] == [f"{category}/{number}" for number in range(15)]
    assert set(await service.settings.category(category)) == {f"{category}/{number}" for number in range(15)}
    assert await service.users.get(taken.user_id) == taken


async def test_creations_and_deletions_of_one_id_take_turns(service: CRUDServiceContract) -> None:
    """Whatever their order, one more was created than deleted, or as many."""
    key = new_id()
    writes: list[Awaitable[Any]] = []
    for number in range(WRITERS):
        writes += [service.settings.create(SETTING.build(key, setting_value=number)), service.settings.delete(key)]
    won, errors = await outcomes(*writes)
    created = [each for each in won if each is not None]
    assert set(errors) <= {ResourceConflict, ResourceNotFound}
    assert created
    assert len({each.revision for each in created}) == len(created)
    remaining = len(created) - (len(won) - len(created))
    try:
        last = await service.settings.get(key)
    except SarvanOMError:
        assert remaining == 0
    else:
        assert remaining == 1
        assert last == max(created, key=lambda each: each.revision)
