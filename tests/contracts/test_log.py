"""The revision log: one entry a change, in order, page by page, and as one service sees it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sarvanom.shared.clients.crud_client import CRUDServiceClient
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound, ValidationFailed
from sarvanom.shared.models.log_models import Change
from tests.contracts.samples import MODEL, SAMPLES, USER, Sample, new_id
from tests.harness.identity import ADMINISTRATOR

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGGED = [sample for sample in SAMPLES if sample.resource.is_logged]


@pytest.fixture(params=LOGGED, ids=lambda sample: sample.resource.collection)
def logged(request: pytest.FixtureRequest) -> Sample:
    """One of the four resources that are logged."""
    chosen: Sample = request.param
    return chosen


async def head_of(service: CRUDServiceContract) -> int:
    """Return the newest revision."""
    return (await service.log.changes(limit=1)).revision


async def history(service: CRUDServiceContract, sample: Sample, id: str) -> list[Change]:
    """Return all changes of one resource."""
    return (await service.log.changes(resource=sample.resource.collection, id=id)).items


async def test_every_change_is_told(service: CRUDServiceContract, logged: Sample) -> None:
    collection, id = logged.collection(service), new_id()
    created = await collection.create(logged.build(id))
    replaced = await collection.replace(logged.build(id, service="other"))
    patched = await collection.patch(id, {"service": "third"})
    await collection.delete(id)
    create, replace, patch, delete = await history(service, logged, id)
    assert [one.operation for one in (create, replace, patch, delete)] == ["create", "update", "update", "delete"]
    assert [one.previous_revision for one in (create, replace, patch, delete)] == [
        None, created.revision, replaced.revision, patched.revision,
    ]  # fmt: skip
    for change, item in ((create, created), (replace, replaced), (patch, patched)):
        assert (change.revision, change.service, change.time) == (item.revision, item.service, item.updated_at)
        assert logged.resource.model.model_validate_json(json.dumps(change.after)) == item
    assert (delete.after, delete.service) == (None, "third")
    assert abs(delete.time - datetime.now(UTC)) < timedelta(minutes=5)
    for change in (create, replace, patch, delete):
        assert (change.resource, change.id, change.reverts) == (logged.resource.collection, id, None)
        # In process nobody has to prove who they are.
        assert change.actor == (ADMINISTRATOR.subject if isinstance(service, CRUDServiceClient) else None)


async def test_deleting_and_creating_again_keeps_history_apart_and_in_order(
    service: CRUDServiceContract, logged: Sample
) -> None:
    collection, id = logged.collection(service), new_id()
    for _ in range(2):
        await collection.create(logged.build(id))
        await collection.delete(id)
    changes = await history(service, logged, id)
    assert [one.operation for one in changes] == ["create", "delete"] * 2
    assert [one.previous_revision for one in changes] == [None, changes[0].revision, None, changes[2].revision]
    revisions = [one.revision for one in changes]
    assert revisions == sorted(set(revisions))


async def test_refused_write_is_not_told(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    before = await head_of(service)
    with pytest.raises(ResourceConflict):
        await service.users.create(USER.build(user.user_id))
    with pytest.raises(ResourceNotFound):
        await service.users.delete(new_id())
    assert await head_of(service) == before


async def test_cache_is_not_logged(service: CRUDServiceContract) -> None:
    before = await head_of(service)
    await service.cache.create(SAMPLES[0].build(new_id()))
    assert await head_of(service) == before
    with pytest.raises(ValidationFailed) as caught:
        await service.log.changes(resource="cache")
    assert [error.field for error in caught.value.errors] == ["resource"]


async def test_pages_are_walked_without_a_gap(service: CRUDServiceContract) -> None:
    since = await head_of(service)
    ids = [new_id() for _ in range(7)]
    for number, id in enumerate(ids):
        sample = LOGGED[number % 2]
        await sample.collection(service).create(sample.build(id))
    for limit in (1, 2, 3, 100):
        seen, position = list[Change](), since
        while True:
            page = await service.log.changes(position, limit=limit)
            assert len(page.items) <= limit
            seen += page.items
            position = page.next_since
            if position == page.revision:
                break
        assert [one.id for one in seen] == ids
        assert [one.revision for one in seen] == list(range(since + 1, since + 8))
    page = await service.log.changes(position)
    assert (page.items, page.next_since, page.revision) == ([], position, position)


async def test_page_of_one_collection_goes_on_where_it_has_looked(service: CRUDServiceContract) -> None:
    since = await head_of(service)
    await service.users.create(USER.build(new_id()))
    model = await service.models.create(MODEL.build(new_id()))
    await service.users.create(USER.build(new_id()))
    page = await service.log.changes(since, resource="models", limit=10)
    assert [one.id for one in page.items] == [model.model_name]
    assert page.next_since == page.revision == since + 3
    assert (await service.log.changes(since, resource="models", limit=1)).next_since == model.revision


async def test_without_since_the_log_begins_with_what_is_held(service: CRUDServiceContract) -> None:
    await service.users.create(USER.build(new_id()))
    page = await service.log.changes(limit=1)
    assert page.items[0].revision == page.oldest_revision + 1 == page.next_since
    assert page == await service.log.changes(page.oldest_revision, limit=1)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": 10**15}, "since"),
        ({"since": -1}, "since"),
        ({"resource": "sheep"}, "resource"),
        ({"id": "a"}, "id"),
        ({"resource": "users", "id": "a b"}, "id"),
        ({"service": ""}, "service"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
    ],
)
async def test_query_that_is_not_right_is_refused(
    service: CRUDServiceContract, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await service.log.changes(**given)
    assert [error.field for error in caught.value.errors] == [field]


async def test_one_that_moves_is_created_here_and_deleted_there(service: CRUDServiceContract) -> None:
    old, new, id = new_id(), new_id(), new_id()
    since = await head_of(service)
    created = await service.models.create(MODEL.build(id, service=old))
    moved = await service.models.patch(id, {"service": new})
    changed = await service.models.patch(id, {"priority": 1})
    await service.models.delete(id)

    async def view(service_name: str) -> list[tuple[int | None, str, int | None, str, bool]]:
        page = await service.log.changes(since, service=service_name)
        return [
            (one.revision, one.operation, one.previous_revision, one.service, one.after is not None)
            for one in page.items
        ]

    assert await view(old) == [
        (created.revision, "create", None, old, True),
        (moved.revision, "delete", created.revision, old, False),
    ]
    assert await view(new) == [
        (moved.revision, "create", None, new, True),
        (changed.revision, "update", moved.revision, new, True),
        ((changed.revision or 0) + 1, "delete", changed.revision, new, False),
    ]
    assert await view(new_id()) == []


@pytest.mark.parametrize("id", ["meta-llama/Llama-3.1-8B", "bedrock/*/a'b;--", "a!$&'()*+,;=:@b-._~"])
async def test_any_id_has_its_history(service: CRUDServiceContract, id: str) -> None:
    id = f"{new_id()}/{id}"
    await service.models.create(MODEL.build(id))
    await service.models.create(MODEL.build(f"{id}/deeper"))
    assert [one.id for one in await history(service, MODEL, id)] == [id]
