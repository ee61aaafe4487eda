"""Many items at once: each line for itself, in order, and all of a collection as lines."""

from typing import Any

import pytest
from pydantic_core import from_json, to_json

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import MalformedJSON, ResourceConflict, ValidationFailed
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict, Outcome
from sarvanom.shared.models.crud_models import FilterParams
from tests.contracts.samples import SETTING, USER, Sample, new_id, own_fields, same

pytestmark = pytest.mark.asyncio(loop_scope="session")

type Collection = CollectionContract[Any]

MANY = 1_203


async def import_items(
    collection: Collection, items: list[Any], on_conflict: OnConflict = OnConflict.ERROR
) -> list[ImportResult]:
    return [result async for result in collection.import_items(items, on_conflict=on_conflict)]


async def import_lines(
    collection: Collection, lines: list[bytes], on_conflict: OnConflict = OnConflict.ERROR
) -> list[ImportResult]:
    return [result async for result in collection.import_lines(lines, on_conflict=on_conflict)]


def setting(id: str, value: object) -> bytes:
    return to_json({"setting_key": id, "setting_value": value})


async def test_items_are_stored_as_one_by_one(collection: Collection, sample: Sample) -> None:
    items = [sample.build(new_id()) for _ in range(7)]
    results = await import_items(collection, items)
    assert [result.line for result in results] == list(range(1, 8))
    assert [result.id for result in results] == [sample.resource.id_of(item) for item in items]
    assert {(result.status, result.outcome, result.replayed) for result in results} == {(201, Outcome.CREATED, False)}
    for item, result in zip(items, results, strict=True):
        stored = await collection.get(sample.resource.id_of(item))
        assert same(own_fields(stored), own_fields(item))
        assert stored.revision == result.revision
    revisions = [result.revision for result in results]
    assert revisions == sorted(set(revisions), key=lambda revision: revision or 0)


@pytest.mark.parametrize(
    ("on_conflict", "status", "outcome"),
    [
        (OnConflict.ERROR, 409, Outcome.REFUSED),
        (OnConflict.SKIP, 200, Outcome.SKIPPED),
        (OnConflict.REPLACE, 200, Outcome.REPLACED),
    ],
)
async def test_taken_ids(
    collection: Collection, sample: Sample, on_conflict: OnConflict, status: int, outcome: Outcome
) -> None:
    old = [await collection.create(sample.build(new_id())) for _ in range(2)]
    changed = [item.model_copy(update={"service": "changed"}) for item in old]
    new = sample.build(new_id())
    results = await import_items(collection, [changed[0], new, changed[1]], on_conflict)
    assert [(result.status, result.outcome) for result in results] == [
        (status, outcome),
        (201, Outcome.CREATED),
        (status, outcome),
    ]
    for before, result in zip(old, (results[0], results[2]), strict=True):
        stored = await collection.get(sample.resource.id_of(before))
        replaced = outcome is Outcome.REPLACED
        assert stored.service == ("changed" if replaced else before.service)
        assert (stored.revision != before.revision) == replaced
        assert stored.created_at == before.created_at
        if outcome is Outcome.REFUSED:
            assert isinstance(result.error, ResourceConflict)
            assert [error.field for error in result.errors] == [sample.resource.id_field]
        else:
            assert result.revision == stored.revision


@pytest.mark.parametrize(
    ("on_conflict", "second", "value"),
    [
        (OnConflict.ERROR, Outcome.REFUSED, 1),
        (OnConflict.SKIP, Outcome.SKIPPED, 1),
        (OnConflict.REPLACE, Outcome.REPLACED, 2),
    ],
)
async def test_an_id_twice_in_one_import(
    service: CRUDServiceContract, on_conflict: OnConflict, second: Outcome, value: int
) -> None:
    id = new_id()
    results = await import_lines(service.settings, [setting(id, 1), setting(id, 2)], on_conflict)
    assert [result.outcome for result in results] == [Outcome.CREATED, second]
    assert (await service.settings.get(id)).setting_value == value


async def test_a_bad_line_fails_alone_with_its_number(service: CRUDServiceContract) -> None:
    ids = [new_id(), new_id(), new_id()]
    lines = [
        b"",
        setting(ids[0], 0) + b"\r\n",
        b"{bad",
        b"\xff\xfe",
        b"  \t",
        setting(ids[1], 1),
        b'{"setting_key":"x"}',
        b"[]",
        setting(ids[2], 2) + b"\n",
    ]
    results = await import_lines(service.settings, lines)
    assert [(result.line, result.status) for result in results] == [
        (2, 201),
        (3, 400),
        (4, 400),
        (6, 201),
        (7, 422),
        (8, 422),
        (9, 201),
    ]
    assert isinstance(results[1].error, MalformedJSON)
    assert isinstance(results[4].error, ValidationFailed)
    assert [error.field for error in results[4].errors] == ["setting_value"]
    assert [(await service.settings.get(id)).setting_value for id in ids] == [0, 1, 2]


async def test_a_unique_field_that_is_taken_touches_no_neighbour(service: CRUDServiceContract) -> None:
    first, second, third = USER.build(new_id()), USER.build(new_id()), USER.build(new_id())
    second = second.model_copy(update={"email": first.email.upper()})
    for on_conflict in OnConflict:
        results = await import_items(service.users, [first, second, third], on_conflict)
        assert results[1].outcome is Outcome.REFUSED
        assert [error.field for error in results[1].errors] == ["email"]
        assert {results[0].outcome, results[2].outcome} <= {
            OnConflict.ERROR: {Outcome.CREATED},
            OnConflict.SKIP: {Outcome.SKIPPED},
            OnConflict.REPLACE: {Outcome.REPLACED},
        }[on_conflict]


async def test_what_a_server_sets_is_ignored_so_that_what_was_exported_can_be_imported(
    service: CRUDServiceContract,
) -> None:
    id = new_id()
    line = to_json({"setting_key": id, "setting_value": 1, "revision": 5, "created_at": "never", "updated_at": None})
    [result] = await import_lines(service.settings, [line])
    assert result.outcome is Outcome.CREATED
    assert (await service.settings.get(id)).revision == result.revision


async def test_many_items_keep_their_order_and_numbers(service: CRUDServiceContract) -> None:
    ids = [new_id() for _ in range(MANY)]
    lines = [setting(id, number) if number % 5 else b"" for number, id in enumerate(ids)]
    results = await import_lines(service.settings, lines)
    expected = [(number + 1, id) for number, id in enumerate(ids) if number % 5]
    assert [(result.line, result.id) for result in results] == expected
    assert {result.outcome for result in results} == {Outcome.CREATED}


async def test_nothing_is_nothing(collection: Collection) -> None:
    assert await import_items(collection, []) == []
    assert await import_lines(collection, [b"", b"\n"]) == []


async def test_a_collection_is_exported_as_it_is_stored(service: CRUDServiceContract) -> None:
    category = new_id()
    items = [SETTING.build(new_id(), category=category, setting_value={"n": [number, None]}) for number in range(1_100)]
    await import_items(service.settings, items)
    chunks = service.archive.export_collection(
        service.settings.resource, FilterParams(category=category), sort="-setting_key"
    )
    text = b"".join([chunk async for chunk in chunks])
    assert text.endswith(b"}\n")
    found = [service.settings.resource.model.model_validate_json(line) for line in text.splitlines()]
    assert [item.setting_key for item in found] == sorted((item.setting_key for item in items), reverse=True)
    for item in found[::100]:
        assert item == await service.settings.get(item.setting_key)


async def test_an_export_of_nothing_is_empty(service: CRUDServiceContract) -> None:
    chunks = service.archive.export_collection(service.settings.resource, FilterParams(category=new_id()))
    assert [chunk async for chunk in chunks] == []


async def test_an_export_refuses_what_a_list_refuses(service: CRUDServiceContract) -> None:
    refused: list[dict[str, Any]] = [{"sort": "none"}, {"filters": FilterParams(none="x")}]
    for query in refused:
        with pytest.raises(ValidationFailed):
            await anext(aiter(service.archive.export_collection(service.settings.resource, **query)))


async def test_everything_is_exported_with_its_revision_and_its_end(service: CRUDServiceContract) -> None:
    created = await service.settings.create(SETTING.build(new_id()))
    text = b"".join([chunk async for chunk in service.archive.export()])
    header, *lines, end = [from_json(line) for line in text.splitlines()]
    assert (header["format"], header["version"]) == ("sarvanom-export", 1)
    assert header["revision"] >= (created.revision or 0)
    assert end == {"end": True, "items": len(lines)}
    mine = [line for line in lines if line["item"].get("setting_key") == created.setting_key]
    assert [service.settings.resource.model.model_validate_json(to_json(line["item"])) for line in mine] == [created]
