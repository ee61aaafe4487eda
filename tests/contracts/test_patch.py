"""What a patch does: JSON Merge Patch (RFC 7396) on the whole resource, the id and the rules kept."""

import types
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound, SarvanOMError, ValidationFailed
from sarvanom.shared.models.crud_models import SystemSetting
from tests.contracts.samples import USER, Sample, new_id, own_fields

pytestmark = pytest.mark.asyncio(loop_scope="session")

# RFC 7396, appendix A: original, patch, result. Those whose patch is null remove the member that they stand in.
RFC_7396: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
JSON_FIELDS = {
    "cache": "value",
    "users": "preferences",
    "models": "parameters",
    "datasets": "metadata",
    "settings": "setting_value",
}
BAD_VALUES: dict[str, list[dict[str, Any]]] = {
    "cache": [
        {"ttl": 0},
        {"ttl": 1.5},
        {"ttl": "60"},
        {"tags": ["good", ""]},
        {"tags": "text"},
        {"tags": ["x"] * 65},
    ],
    "users": [{"email": "nobody"}, {"email": "a@b@c"}, {"preferences": []}, {"settings": "text"}, {"username": 5}],
    "models": [{"priority": 0}, {"priority": 11}, {"priority": True}, {"enabled": "true"}, {"enabled": 1}],
    "datasets": [{"size": -1}, {"size": 2**53}, {"size": "12"}, {"metadata": [1]}, {"name": ""}],
    "settings": [{"encrypted": "yes"}, {"category": 1}, {"description": ["x"]}],
}


async def test_absent_field_stays(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    patched = await collection.patch(id, {"service": "another"})
    assert own_fields(patched) == own_fields(created) | {"service": "another"}
    assert await collection.get(id) == patched


async def test_empty_patch_changes_no_field(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    assert own_fields(await collection.patch(id, {})) == own_fields(created)


async def test_null_restores_each_default(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    expected = own_fields(await collection.create(sample.build(id)))
    for name, info in sample.resource.model.model_fields.items():
        if name not in sample.resource.model.server_fields and not info.is_required():
            expected[name] = info.get_default(call_default_factory=True)
            assert own_fields(await collection.patch(id, {name: None})) == expected, name
    assert own_fields(await collection.get(id)) == expected


async def test_patch_merges_into_a_json_field(collection: CollectionContract[Any], sample: Sample) -> None:
    id, field = new_id(), JSON_FIELDS[sample.resource.collection]
    await collection.create(sample.build(id, **{field: {"keep": [1], "deep": {"a": 1, "b": {"c": 2}}, "gone": 1}}))
    patched = await collection.patch(
        id, {field: {"gone": None, "deep": {"b": {"c": None, "d": 3}}, "new": {"null": None}}}
    )
    assert getattr(patched, field) == {"keep": [1], "deep": {"a": 1, "b": {"d": 3}}, "new": {}}
    assert await collection.get(id) == patched


async def test_examples_of_rfc_7396_hold_below_an_object(service: CRUDServiceContract) -> None:
    for original, patch, result in RFC_7396:
        user = await service.users.create(USER.build(new_id(), preferences={"it": original, "stays": {"a": "b"}}))
        patched = await service.users.patch(user.user_id, {"preferences": {"it": patch}})
        assert patched.preferences == {"it": result, "stays": {"a": "b"}}, (original, patch)


async def test_examples_of_rfc_7396_hold_for_a_whole_value(service: CRUDServiceContract) -> None:
    for original, patch, result in RFC_7396:
        key = new_id()
        await service.settings.create(SystemSetting(setting_key=key, setting_value=original))
        patched = await service.settings.patch(key, {"setting_value": patch})
        assert patched.setting_value == result, (original, patch)
        assert (await service.settings.get(key)).setting_value == result


async def test_null_in_a_patched_array_stays(service: CRUDServiceContract) -> None:
    key = new_id()
    await service.settings.create(SystemSetting(setting_key=key, setting_value={"a": [1]}))
    patched = await service.settings.patch(key, {"setting_value": {"a": [None, {"b": None}]}})
    assert patched.setting_value == {"a": [None, {"b": None}]}


async def test_patch_that_breaks_a_rule_changes_nothing(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    created = await collection.create(sample.build(id))
    required = [name for name, info in sample.resource.model.model_fields.items() if info.is_required()]
    broken: list[dict[str, Any]] = [
        {"service": ""},
        {"service": 5},
        {"service": "x" * 256},
        {"service": "good", "no_such_field": 1},
        {"service": "good", sample.resource.id_field: "another"},
        {"service": "good", sample.resource.id_field: ""},
        *({"service": "good", name: None} for name in required),
    ]
    for changes in broken:
        with pytest.raises(ValidationFailed) as caught:
            await collection.patch(id, changes)
        assert caught.value.errors, changes
        assert await collection.get(id) == created, changes


async def test_patch_with_a_bad_value_names_the_field(collection: CollectionContract[Any], sample: Sample) -> None:
    created = await collection.create(sample.build(new_id()))
    id = sample.resource.id_of(created)
    for changes in BAD_VALUES[sample.resource.collection]:
        with pytest.raises(ValidationFailed) as caught:
            await collection.patch(id, changes)
        assert {error.field.partition(".")[0] for error in caught.value.errors} == set(changes)
    assert await collection.get(id) == created


async def test_patch_may_repeat_the_id(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id()
    await collection.create(sample.build(id))
    patched = await collection.patch(id, {sample.resource.id_field: id, "service": "another"})
    assert sample.resource.id_of(patched) == id
    assert patched.service == "another"


async def test_patch_of_a_missing_item_finds_nothing(collection: CollectionContract[Any]) -> None:
    with pytest.raises(ResourceNotFound):
        await collection.patch(new_id(), {"service": "another"})


async def test_patch_takes_any_mapping(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    patched = await service.users.patch(user.user_id, types.MappingProxyType({"service": "another"}))
    assert patched.service == "another"


async def test_patch_with_half_a_surrogate_pair_is_refused(service: CRUDServiceContract) -> None:
    """Such a text is none that UTF-8 can carry."""
    text = "\udfff half a pair"
    user = await service.users.create(USER.build(new_id()))
    patches: list[dict[str, Any]] = [
        {"username": text},
        {"preferences": {"a": text}},
        {"preferences": {text: 1}},
        {text: 1},
    ]
    for changes in patches:
        with pytest.raises(ValidationFailed):
            await service.users.patch(user.user_id, changes)
    assert await service.users.get(user.user_id) == user


async def test_refused_patch_of_a_unique_field_changes_nothing(service: CRUDServiceContract) -> None:
    one = await service.users.create(USER.build(new_id()))
    other = await service.users.create(USER.build(new_id()))
    with pytest.raises(ResourceConflict) as caught:
        await service.users.patch(other.user_id, {"email": one.email.upper(), "preferences": {"changed": True}})
    assert {error.field for error in caught.value.errors} == {"email"}
    assert await service.users.get(other.user_id) == other


async def test_patch_that_nests_too_deep_is_refused(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    nested: dict[str, Any] = {}
    for depth in range(2, 401):
        nested = {"a": nested}
        if depth in (101, 150, 198, 199, 200, 201, 202, 253, 254, 255, 256, 400):
            with pytest.raises(SarvanOMError) as caught:
                await service.users.patch(user.user_id, {"preferences": nested})
            assert caught.value.status in (400, 422), depth
    assert await service.users.get(user.user_id) == user
