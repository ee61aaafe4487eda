"""Undoing a revision as a new one."""

import asyncio
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound, RevertConflict, ValidationFailed
from tests.contracts.samples import USER, Sample, new_id, own_fields
from tests.contracts.test_log import head_of, history, logged

__all__ = ["logged"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_was_created_is_deleted(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    created = await collection.create(logged.build(id))
    undone = await service.log.revert(created.revision)
    assert (undone.operation, undone.after, undone.reverts) == ("delete", None, created.revision)
    assert (undone.resource, undone.id, undone.previous_revision) == (
        logged.resource.collection, id, created.revision,
    )  # fmt: skip
    with pytest.raises(ResourceNotFound):
        await collection.get(id)


async def test_what_was_changed_is_as_it_was_before(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    created = await collection.create(logged.build(id, service="before"))
    changed = await collection.patch(id, {"service": "after"})
    undone = await service.log.revert(changed.revision)
    assert (undone.operation, undone.reverts, undone.previous_revision) == (
        "update", changed.revision, changed.revision,
    )  # fmt: skip
    now = await collection.get(id)
    assert (own_fields(now), now.created_at, now.revision) == (
        own_fields(created), created.created_at, undone.revision,
    )  # fmt: skip
    assert now.updated_at == undone.time


async def test_what_was_deleted_is_back_with_its_age(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    created = await collection.create(logged.build(id))
    await collection.delete(id)
    deletion = (await history(service, logged, id))[-1]
    undone = await service.log.revert(deletion.revision)
    assert (undone.operation, undone.previous_revision, undone.reverts) == ("create", None, deletion.revision)
    now = await collection.get(id)
    assert (own_fields(now), now.created_at) == (own_fields(created), created.created_at)
    assert now.revision == undone.revision


async def test_undoing_can_be_undone(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    await collection.create(logged.build(id))
    changed = await collection.patch(id, {"service": "after"})
    revision = changed.revision
    for expected in ("chat", "after", "chat", "after"):
        revision = (await service.log.revert(revision)).revision
        now = await collection.get(id)
        assert (now.service == "after") is (expected == "after")
    assert own_fields(now) == own_fields(changed)
    assert [one.reverts is not None for one in await history(service, logged, id)] == [False, False, *[True] * 4]


async def test_later_change_stands_in_the_way(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    created = await collection.create(logged.build(id))
    changed = await collection.patch(id, {"service": "after"})
    before = await head_of(service)
    with pytest.raises(RevertConflict, match=str(changed.revision)):
        await service.log.revert(created.revision)
    assert await head_of(service) == before
    undone = await service.log.revert(changed.revision)
    with pytest.raises(RevertConflict):
        await service.log.revert(changed.revision)
    assert (await collection.get(id)).revision == undone.revision


async def test_changes_of_others_do_not(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    await service.users.create(USER.build(new_id()))
    assert (await service.log.revert(user.revision or 0)).operation == "delete"


@pytest.mark.parametrize("field", ["username", "email"])
async def test_value_that_was_taken_meanwhile_cannot_come_back(service: CRUDServiceContract, field: str) -> None:
    for remove in (True, False):
        user = await service.users.create(USER.build(new_id()))
        if remove:
            await service.users.delete(user.user_id)
        else:
            await service.users.replace(USER.build(user.user_id))
        change = (await history(service, USER, user.user_id))[-1]
        taker = await service.users.create(USER.build(new_id(), **{field: getattr(user, field)}))
        with pytest.raises(ResourceConflict) as caught:
            await service.log.revert(change.revision)
        assert [error.field for error in caught.value.errors] == [field]
        await service.users.delete(taker.user_id)
        assert (await service.log.revert(change.revision)).reverts == change.revision


async def test_there_is_no_such_revision(service: CRUDServiceContract) -> None:
    for revision in (await head_of(service) + 1, 2**53 - 1):
        with pytest.raises(ResourceNotFound):
            await service.log.revert(revision)
    for revision in (0, -1, 2**53):
        with pytest.raises(ValidationFailed):
            await service.log.revert(revision)


async def test_many_at_once_undo_it_once(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    outcomes: list[Any] = await asyncio.gather(
        *(service.log.revert(user.revision or 0) for _ in range(8)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(RevertConflict) == 7
    assert len(await history(service, USER, user.user_id)) == 2
