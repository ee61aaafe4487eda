"""Revisions: one for every write, growing, and what `if_match` and `create` make of them."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import (
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    ValidationFailed,
)
from tests.contracts.samples import CACHE_ENTRY, SAMPLES, USER, Sample, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_write_takes_the_next_revision(lone_store: CRUDServiceContract) -> None:
    """Over the four logged collections, deletions included, when nobody else writes; the cache counts its own."""
    revisions = {"revision": 0, "cache": 0}
    for sample in SAMPLES:
        collection, id = sample.collection(lone_store), new_id()
        revision = revisions[sample.resource.sequence]
        item = await collection.create(sample.build(id))
        assert item.revision == revision + 1
        assert (await collection.replace(sample.build(id))).revision == revision + 2
        assert (await collection.patch(id, {"service": "another"})).revision == revision + 3
        assert (await collection.patch(id, {})).revision == revision + 4
        await collection.delete(id)
        assert (await collection.replace(sample.build(id), create=True)).revision == revision + 6
        revisions[sample.resource.sequence] += 6
    assert revisions == {"revision": 24, "cache": 6}


async def test_refused_write_takes_no_revision(lone_store: CRUDServiceContract) -> None:
    users = lone_store.users
    user = await users.create(USER.build(new_id()))
    other = await users.create(USER.build(new_id()))
    refusals: list[tuple[type[SarvanOMError], Callable[[], Awaitable[object]]]] = [
        (ResourceConflict, partial(users.create, USER.build(user.user_id))),
        (ResourceConflict, partial(users.create, USER.build(new_id(), email=user.email))),
        (ResourceConflict, partial(users.patch, other.user_id, {"username": user.username})),
        (ResourceNotFound, partial(users.patch, new_id(), {})),
        (ResourceNotFound, partial(users.replace, USER.build(new_id()))),
        (ResourceNotFound, partial(users.delete, new_id())),
        (PreconditionFailed, partial(users.patch, user.user_id, {}, if_match=99)),
        (PreconditionFailed, partial(users.replace, USER.build(user.user_id), create=True)),
        (ValidationFailed, partial(users.patch, user.user_id, {"email": "nobody"})),
    ]
    for refused, write in refusals:
        with pytest.raises(refused):
            await write()
    assert (await users.create(USER.build(new_id()))).revision == 3


async def test_invalidation_takes_one_revision(lone_store: CRUDServiceContract) -> None:
    for _ in range(3):
        await lone_store.cache.create(CACHE_ENTRY.build(new_id(), tags=["t"]))
    assert await lone_store.cache.invalidate(tag="t") == 3
    assert (await lone_store.cache.create(CACHE_ENTRY.build(new_id()))).revision == 5


async def test_revision_grows_with_every_write(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    revisions = [(await collection.create(sample.build(id))).revision]
    revisions.append((await collection.create(sample.build(new_id()))).revision)
    revisions.append((await collection.replace(sample.build(id))).revision)
    revisions.append((await collection.patch(id, {"service": "another"})).revision)
    assert revisions == sorted(set(revisions))
    assert (await collection.get(id)).revision == revisions[-1]


async def test_write_with_the_right_revision_is_carried_out(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    replaced = await collection.replace(sample.build(id), if_match=created.revision)
    patched = await collection.patch(id, {"service": "another"}, if_match=replaced.revision)
    await collection.delete(id, if_match=patched.revision)
    with pytest.raises(ResourceNotFound):
        await collection.get(id)


async def test_write_with_another_revision_changes_nothing(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    old = await collection.create(sample.build(id))
    now = await collection.patch(id, {"service": "another"})
    for revision in (old.revision, now.revision + 1, 0, -1, 2**63, 10**30):
        with pytest.raises(PreconditionFailed):
            await collection.replace(sample.build(id), if_match=revision)
        with pytest.raises(PreconditionFailed):
            await collection.patch(id, {"service": "third"}, if_match=revision)
        with pytest.raises(PreconditionFailed):
            await collection.delete(id, if_match=revision)
    assert await collection.get(id) == now


async def test_revision_of_a_deleted_item_matches_no_more(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    old = await collection.create(sample.build(id))
    await collection.delete(id)
    for write in (
        partial(collection.replace, sample.build(id)),
        partial(collection.patch, id, {}),
        partial(collection.delete, id),
    ):
        with pytest.raises(ResourceNotFound):
            await write(if_match=old.revision)
    again = await collection.create(sample.build(id))
    with pytest.raises(PreconditionFailed):
        await collection.delete(id, if_match=old.revision)
    assert await collection.get(id) == again


async def test_creation_on_a_revision_is_never_carried_out(collection: CollectionContract[Any], sample: Sample) -> None:
    """What must have a revision and must not exist cannot be."""
    id = new_id()
    with pytest.raises(PreconditionFailed):
        await collection.replace(sample.build(id), if_match=1, create=True)
    created = await collection.create(sample.build(id))
    with pytest.raises(PreconditionFailed):
        await collection.replace(sample.build(id), if_match=created.revision, create=True)
    assert await collection.get(id) == created
