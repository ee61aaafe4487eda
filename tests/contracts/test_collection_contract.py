"""What every collection promises: create, get, replace and delete, of every resource over every implementation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import PreconditionFailed, ResourceConflict, ResourceNotFound, ValidationFailed
from tests.contracts.samples import Sample, new_id, own_fields

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def fields_of(caught: pytest.ExceptionInfo[Any]) -> set[str]:
    return {error.field for error in caught.value.errors}


async def test_item_comes_back_field_by_field(collection: CollectionContract[Any], sample: Sample) -> None:
    item = sample.build(new_id())
    created = await collection.create(item)
    read = await collection.get(sample.resource.id_of(item))
    for name, value in own_fields(item).items():
        assert getattr(created, name) == value, name
        assert getattr(read, name) == value, name
    assert read == created
    assert type(read) is sample.resource.model


async def test_item_without_optional_fields_gets_their_defaults(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    model = sample.resource.model
    whole = sample.build(new_id())
    required = {name: getattr(whole, name) for name, info in model.model_fields.items() if info.is_required()}
    created = await collection.create(model(**required))
    assert own_fields(created) == own_fields(model(**required))
    assert created.service == "default"


async def test_server_sets_its_fields(collection: CollectionContract[Any], sample: Sample) -> None:
    before = datetime.now(UTC)
    created = await collection.create(sample.build(new_id()))
    assert before - timedelta(seconds=1) <= created.created_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert created.created_at.utcoffset() == timedelta(0)
    assert created.updated_at == created.created_at
    assert created.revision >= 1


async def test_server_fields_are_ignored_on_write(collection: CollectionContract[Any], sample: Sample) -> None:
    forged = {"created_at": LONG_AGO, "updated_at": LONG_AGO, "revision": 10**15}
    id = new_id()
    created = await collection.create(sample.build(id, **forged))
    replaced = await collection.replace(sample.build(id, **forged))
    patched = await collection.patch(id, {"created_at": "2001-01-01T00:00:00Z", "updated_at": 7, "revision": None})
    for written in (created, replaced, patched):
        assert written.created_at == created.created_at > LONG_AGO
        assert written.updated_at > LONG_AGO
        assert written.revision < 10**15
    assert created.revision < replaced.revision < patched.revision


async def test_create_twice_conflicts_naming_the_id(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    first = await collection.create(sample.build(id))
    with pytest.raises(ResourceConflict) as caught:
        await collection.create(sample.build(id, service="another"))
    assert fields_of(caught) == {sample.resource.id_field}
    assert await collection.get(id) == first


async def test_get_of_a_missing_item_finds_nothing(collection: CollectionContract[Any]) -> None:
    with pytest.raises(ResourceNotFound):
        await collection.get(new_id())


async def test_replace_puts_the_whole_item_in_place(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    kept = {name: value for name, value in own_fields(created).items() if name in sample.resource.unique}
    required = {name for name, info in sample.resource.model.model_fields.items() if info.is_required()}
    item = sample.resource.model(
        **{name: value for name, value in own_fields(created).items() if name in required},
        service="another",
    )
    replaced = await collection.replace(item)
    assert own_fields(replaced) == own_fields(item)
    assert {name: getattr(replaced, name) for name in kept} == kept
    assert await collection.get(id) == replaced


async def test_replace_keeps_created_at_and_moves_updated_at(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    replaced = await collection.replace(sample.build(id))
    patched = await collection.patch(id, {"service": "another"})
    assert created.created_at == replaced.created_at == patched.created_at
    assert created.updated_at < replaced.updated_at < patched.updated_at


async def test_replace_of_a_missing_item_finds_nothing(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    with pytest.raises(ResourceNotFound):
        await collection.replace(sample.build(id))
    with pytest.raises(ResourceNotFound):
        await collection.get(id)


async def test_replace_may_create(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    created = await collection.replace(sample.build(id), create=True)
    assert created.created_at == created.updated_at
    assert await collection.get(id) == created


async def test_replace_that_may_only_create_leaves_what_exists(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    with pytest.raises(PreconditionFailed):
        await collection.replace(sample.build(id, service="another"), create=True)
    assert await collection.get(id) == created


async def test_delete_removes_once(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    await collection.create(sample.build(id))
    await collection.delete(id)
    with pytest.raises(ResourceNotFound):
        await collection.get(id)
    with pytest.raises(ResourceNotFound):
        await collection.delete(id)
    with pytest.raises(ResourceNotFound):
        await collection.replace(sample.build(id))
    with pytest.raises(ResourceNotFound):
        await collection.patch(id, {"service": "another"})


async def test_deleted_item_can_be_created_anew(collection: CollectionContract[Any], sample: Sample) -> None:
    item = sample.build(new_id())
    first = await collection.create(item)
    await collection.delete(sample.resource.id_of(item))
    second = await collection.create(item)
    assert own_fields(second) == own_fields(item)
    assert second.created_at > first.created_at
    assert second.revision > first.revision


async def test_item_that_breaks_a_rule_is_refused(own_service: CRUDServiceContract, sample: Sample) -> None:
    """A frozen model can still be copied past its validation."""
    collection, id = sample.collection(own_service), new_id()
    broken = sample.build(id).model_copy(update={"service": ""})
    with pytest.raises(ValidationFailed):
        await collection.create(broken)
    with pytest.raises(ValidationFailed):
        await collection.replace(broken, create=True)
    with pytest.raises(ResourceNotFound):
        await collection.get(id)


async def test_ids_that_resemble_each_other_are_two_items(collection: CollectionContract[Any], sample: Sample) -> None:
    """Two items whose ids are alike but for case, or for what follows a slash, are two items."""
    id = new_id()
    related = [id, id.upper(), f"{id}/below", f"{id}/below/that", f"{id}."]
    created = [await collection.create(sample.build(each)) for each in related]
    await collection.delete(f"{id}/below")
    assert [await collection.get(each) for each in related if each != f"{id}/below"] == created[:2] + created[3:]
