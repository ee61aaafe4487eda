"""Secrets are kept sealed and read as masks; a mask that is sent back stands for what is kept."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from pydantic import JsonValue

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import SarvanOMError, ValidationFailed
from sarvanom.shared.models.bulk_models import OnConflict
from sarvanom.shared.models.crud_models import FilterParams, ModelConfiguration, SystemSetting
from sarvanom.shared.models.secret_fields import MASK
from sarvanom.shared.resources import MODELS, SETTINGS, USERS
from tests.contracts.samples import USER, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARAMETERS: Final[dict[str, JsonValue]] = {
    "temperature": 0.2,
    "api_key": "sk-one",
    "API-Base": "https://example.org",
    "nested": {"Client-Secret": "two", "list": [{"host": "a", "token": "three"}, 4]},
    "credentials": {"user": "ada", "pass": "five"},
    "password": None,
}
MASKED: Final[dict[str, JsonValue]] = {
    **PARAMETERS,
    "api_key": MASK,
    "nested": {"Client-Secret": MASK, "list": [{"host": "a", "token": MASK}, 4]},
    "credentials": MASK,
}
PLAIN: Final = ("sk-one", "two", "three", "five")


def model(id: str, parameters: dict[str, JsonValue], **fields: Any) -> ModelConfiguration:
    return ModelConfiguration(model_name=id, provider="p", parameters=parameters, **fields)


def setting(id: str, value: JsonValue, *, encrypted: bool = True) -> SystemSetting:
    return SystemSetting(setting_key=id, setting_value=value, encrypted=encrypted)


async def kept(service: CRUDServiceContract, id: str) -> dict[str, Any]:
    """Return what is stored under the id, as an export of everything tells it."""
    text = b"".join([chunk async for chunk in service.archive.export()])
    lines = [json.loads(line) for line in text.splitlines()]
    [item] = [line["item"] for line in lines if id in (line.get("item") or {}).values()]
    found: dict[str, Any] = item
    return found


async def check_plain(service: CRUDServiceContract, id: str, expected: JsonValue) -> None:
    """Assert that secrets are what they should be, as one is told who may see them."""
    collection, field = (
        (service.models, "parameters") if isinstance(expected, dict) else (service.settings, "setting_value")
    )
    assert getattr(await collection.get(id, reveal=True), field) == expected


async def test_secrets_of_a_model_are_masks_wherever_it_is_read(service: CRUDServiceContract) -> None:
    id = new_id()
    created = await service.models.create(model(id, PARAMETERS, service=id))
    patched = await service.models.patch(id, {"priority": 1})
    replaced = await service.models.replace(model(id, PARAMETERS, service=id))
    listed = (await service.models.list(filters=FilterParams(service=id))).items
    past = await service.models.get(id, at_revision=created.revision)
    for read in (created, patched, replaced, past, await service.models.get(id), *listed):
        assert read.parameters == MASKED
    changes = (await service.log.changes(resource="models", id=id)).items
    assert [change.after and change.after["parameters"] for change in changes] == [MASKED] * 3
    lines = b"".join([c async for c in service.archive.export_collection(MODELS, FilterParams(service=id))])
    assert json.loads(lines)["parameters"] == MASKED
    stored = json.dumps(await kept(service, id))
    assert not [secret for secret in PLAIN if secret in stored]
    await check_plain(service, id, PARAMETERS)


@pytest.mark.parametrize("value", ["hush", 5, None, True, [1, {"a": "hush"}], {"key": "hush"}, ""])
async def test_an_encrypted_setting_is_a_mask_whatever_its_value(
    service: CRUDServiceContract, value: JsonValue
) -> None:
    id = new_id()
    created = await service.settings.create(setting(id, value))
    assert (created.setting_value, created.encrypted) == (MASK, True)
    assert (await service.settings.get(id)).setting_value == MASK
    assert set((await kept(service, id))["setting_value"]) == {"$sealed"}
    if not isinstance(value, dict):
        await check_plain(service, id, value)


async def test_the_past_is_revealed_as_it_was(lone_store: CRUDServiceContract) -> None:
    created = await lone_store.settings.create(setting("s", "before"))
    await lone_store.settings.patch("s", {"setting_value": "after"})
    past = await lone_store.settings.get("s", at_revision=created.revision, reveal=True)
    assert past.setting_value == "before"
    assert (await lone_store.settings.get("s", reveal=True)).setting_value == "after"


async def test_nothing_is_revealed_where_there_are_no_secrets(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    with pytest.raises(ValidationFailed) as caught:
        await service.users.get(user.user_id, reveal=True)
    assert [error.field for error in caught.value.errors] == ["reveal"]


async def test_what_was_read_can_be_sent_back(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.models.create(model(id, PARAMETERS))
    before = await kept(service, id)
    read = await service.models.get(id)
    assert (await service.models.replace(read)).parameters == MASKED
    without_null: JsonValue = {name: value for name, value in read.parameters.items() if value is not None}
    assert (await service.models.patch(id, {"parameters": without_null})).parameters == MASKED
    assert (await kept(service, id))["parameters"] == before["parameters"]
    await check_plain(service, id, PARAMETERS)


async def test_an_encrypted_setting_can_be_sent_back(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.settings.create(setting(id, "hush"))
    before = await kept(service, id)
    read = await service.settings.get(id)
    await service.settings.replace(read)
    await service.settings.patch(id, {"setting_value": MASK, "category": "c"})
    assert (await kept(service, id))["setting_value"] == before["setting_value"]
    await check_plain(service, id, "hush")


async def test_a_patch_leaves_other_secrets_as_they_are_kept(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.models.create(model(id, PARAMETERS))
    before = (await kept(service, id))["parameters"]
    await service.models.patch(id, {"parameters": {"api_key": "sk-new", "temperature": None}})
    after = (await kept(service, id))["parameters"]
    assert before["api_key"] != after["api_key"]
    assert (before["nested"], before["credentials"]) == (after["nested"], after["credentials"])
    await check_plain(service, id, {k: v for k, v in PARAMETERS.items() if k != "temperature"} | {"api_key": "sk-new"})


async def test_a_patch_merges_into_a_secret_object(service: CRUDServiceContract) -> None:
    id, other = new_id(), new_id()
    await service.models.create(model(id, PARAMETERS))
    changes: dict[str, JsonValue] = {"credentials": {"pass": "six", "user": None, "more": 7}, "api_key": {"a": "b"}}
    assert (await service.models.patch(id, {"parameters": changes})).parameters == MASKED
    await check_plain(service, id, PARAMETERS | {"credentials": {"pass": "six", "more": 7}, "api_key": {"a": "b"}})
    await service.settings.create(setting(other, {"a": 1, "b": 2}))
    assert (await service.settings.patch(other, {"setting_value": {"a": None, "c": 3}})).setting_value == MASK
    assert (await service.settings.get(other, reveal=True)).setting_value == {"b": 2, "c": 3}


async def test_a_mask_inside_of_a_secret_keeps_what_the_secret_holds_there(service: CRUDServiceContract) -> None:
    id, other = new_id(), new_id()
    inside: dict[str, JsonValue] = {"token": "REAL", "u": 1, "deep": {"a": {"b": "hush"}, "list": ["one"]}}
    parameters: dict[str, JsonValue] = {"credentials": inside, "x": {"api_key": {"k": "two"}}}
    await service.models.create(model(id, parameters))
    sent: list[JsonValue] = [
        {"token": MASK},
        {"token": MASK, "deep": {"a": MASK}},
        {"deep": {"a": {"b": MASK}}, "u": 1},
    ]
    for credentials in sent:
        changes: dict[str, JsonValue] = {"credentials": credentials, "x": {"api_key": {"k": MASK}}}
        assert (await service.models.patch(id, {"parameters": changes})).parameters["credentials"] == MASK
        await check_plain(service, id, parameters)
    await service.models.patch(id, {"parameters": {"credentials": {"token": MASK, "u": 2}}})
    await check_plain(service, id, parameters | {"credentials": inside | {"u": 2}})
    await service.models.replace(model(id, {"credentials": {"token": MASK, "new": "n"}, "x": MASK}))
    await check_plain(service, id, {"credentials": {"token": "REAL", "new": "n"}, "x": MASK})
    await service.settings.create(setting(other, {"a": {"b": 1}, "c": 2}))
    await service.settings.patch(other, {"setting_value": {"a": {"b": MASK}, "c": 3}})
    assert (await service.settings.get(other, reveal=True)).setting_value == {"a": {"b": 1}, "c": 3}
    await service.settings.replace(setting(other, {"a": MASK}))
    assert (await service.settings.get(other, reveal=True)).setting_value == {"a": {"b": 1}}
    line = setting(other, {"a": MASK, "d": 4}).to_json()
    [result] = [one async for one in service.settings.import_lines([line], on_conflict=OnConflict.REPLACE)]
    assert result.status == 200
    assert (await service.settings.get(other, reveal=True)).setting_value == {"a": {"b": 1}, "d": 4}


async def test_a_removed_secret_is_gone(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.models.create(model(id, {"api_key": "sk-one", "token": "two"}))
    assert (await service.models.patch(id, {"parameters": {"api_key": None}})).parameters == {"token": MASK}
    assert (await service.models.replace(model(id, {}))).parameters == {}
    with pytest.raises(ValidationFailed):
        await service.models.patch(id, {"parameters": {"token": MASK}})


async def test_a_setting_is_sealed_once_it_is_to_be_encrypted(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.settings.create(setting(id, "hush", encrypted=False))
    assert (await service.settings.patch(id, {"encrypted": True})).setting_value == MASK
    assert "hush" not in json.dumps(await kept(service, id))
    await check_plain(service, id, "hush")


@pytest.mark.parametrize("changes", [
    {"encrypted": False},
    {"encrypted": None},
    {"encrypted": False, "setting_value": MASK},
    {"encrypted": False, "setting_value": {}},
    {"encrypted": False, "setting_value": {"a": 2}},
], ids=repr)  # fmt: skip
async def test_what_was_encrypted_is_stored_in_plain_only_if_it_is_sent_anew(
    service: CRUDServiceContract, changes: dict[str, JsonValue]
) -> None:
    id = new_id()
    await service.settings.create(setting(id, {"a": 1}))
    with pytest.raises(ValidationFailed) as caught:
        await service.settings.patch(id, changes)
    assert [error.field for error in caught.value.errors] == ["setting_value"]
    with pytest.raises(ValidationFailed):
        await service.settings.replace(setting(id, MASK, encrypted=False))
    assert (await service.settings.get(id)).setting_value == MASK
    with pytest.raises(ValidationFailed):
        await service.settings.replace(setting(id, {"a": MASK}, encrypted=False))
    assert (await service.settings.get(id, reveal=True)).setting_value == {"a": 1}
    anew = await service.settings.patch(id, {"encrypted": False, "setting_value": "anew"})
    assert (anew.setting_value, anew.encrypted) == ("anew", False)


async def test_stars_are_an_ordinary_value_of_an_ordinary_setting(service: CRUDServiceContract) -> None:
    id = new_id()
    assert (await service.settings.create(setting(id, MASK, encrypted=False))).setting_value == MASK
    assert (await kept(service, id))["setting_value"] == MASK
    with pytest.raises(ValidationFailed):
        await service.settings.patch(id, {"encrypted": True, "setting_value": MASK})
    below: JsonValue = {"a": [MASK]}
    assert (await service.settings.replace(setting(id, below, encrypted=False))).setting_value == below


WITHOUT_MEANING: Final[dict[str, tuple[dict[str, JsonValue], str]]] = {
    "a mask for nothing": ({"token": MASK}, "parameters.token"),
    "a mask for nothing below": ({"nested": {"token": MASK}}, "parameters.nested.token"),
    "a mask in another place": ({"other": {"Client-Secret": MASK}}, "parameters.other.Client-Secret"),
    "a mask by another name": ({"api-key": MASK}, "parameters.api-key"),
    "a mask where null is": ({"password": MASK}, "parameters.password"),
    "an element that moved": ({"nested": {"list": [4, {"host": "a", "token": MASK}]}}, "parameters.nested.list.1"),
    "an element that changed": ({"nested": {"list": [{"host": "b", "token": MASK}]}}, "parameters.nested.list.0"),
    "an element too many": (
        {"nested": {"list": [{"host": "a", "token": MASK}, {"host": "a", "token": MASK}]}},
        "parameters.nested.list.1",
    ),
    "a number that became another kind": ({"nested": {"list": {"token": MASK}}}, "parameters.nested.list.token"),
    "a mask for nothing inside of a secret": ({"credentials": {"other": MASK}}, "parameters.credentials.other"),
    "a mask inside of what is no object": ({"api_key": {"x": MASK}}, "parameters.api_key.x"),
    "a mask too deep inside of a secret": ({"credentials": {"user": {"x": MASK}}}, "parameters.credentials.user.x"),
    "a mask in a list inside of a secret": ({"credentials": {"l": ["a", MASK]}}, "parameters.credentials.l.1"),
    "a mask inside of a secret in a list": (
        {"nested": {"list": [{"host": "a", "token": {"x": MASK}}]}},
        "parameters.nested.list.0",
    ),
    "a mask inside of a new secret": ({"token": [{"x": MASK}]}, "parameters.token.0.x"),
    "a sealed value": ({"api_key": {"$sealed": "v1.0123456789abcdef.AAAA"}}, ""),
    "a sealed value below a secret": ({"credentials": {"x": [{"$sealed": "x"}]}}, ""),
    "a sealed value that is none": ({"temperature": {"$sealed": 1, "more": 2}}, ""),
}


@pytest.mark.parametrize("name", WITHOUT_MEANING)
async def test_a_mask_without_a_secret_and_what_looks_sealed_are_refused(
    service: CRUDServiceContract, name: str
) -> None:
    parameters, field = WITHOUT_MEANING[name]
    id = new_id()
    await service.models.create(model(id, PARAMETERS))
    before = await kept(service, id)
    for write in (
        service.models.patch(id, {"parameters": parameters}),
        service.models.replace(model(id, parameters)),
    ):
        with pytest.raises(ValidationFailed) as caught:
            await write
        assert [error.field for error in caught.value.errors] == [field]
    with pytest.raises(ValidationFailed):
        await service.models.create(model(new_id(), parameters))
    assert await kept(service, id) == before


async def test_members_called_like_sealed_values_are_nothing_special_elsewhere(service: CRUDServiceContract) -> None:
    id = new_id()
    sealed_looking: dict[str, JsonValue] = {"$sealed": "v1.0123456789abcdef.AAAA", "api_key": "open"}
    user = await service.users.create(USER.build(id, preferences=sealed_looking))
    assert user.preferences == sealed_looking
    assert (await service.users.get(id)).preferences == sealed_looking
    text: JsonValue = '{"$sealed":"v1.0123456789abcdef.AAAA"}'
    assert (await service.settings.create(setting(id, text, encrypted=False))).setting_value == text
    assert USERS.secret is None


async def test_a_secret_may_not_be_nested_so_deep_that_it_cannot_be_read_again(service: CRUDServiceContract) -> None:
    id = new_id()

    def nested(depth: int) -> dict[str, JsonValue]:
        value: dict[str, JsonValue] = {"token": "hush"}
        for _ in range(depth - 1):
            value = {"a": value}
        return value

    with pytest.raises(ValidationFailed):
        await service.models.create(model(id, nested(100)))
    await service.models.create(model(id, nested(99)))
    assert (await service.models.patch(id, {"priority": 2})).priority == 2
    await check_plain(service, id, nested(99))


async def test_secrets_are_limited_in_number(service: CRUDServiceContract) -> None:
    id = new_id()

    def many(count: int) -> dict[str, JsonValue]:
        return {"list": [{"token": number} for number in range(count)]}

    await service.models.create(model(id, many(100)))
    for write in (
        service.models.create(model(new_id(), many(101))),
        service.models.patch(id, {"parameters": many(101)}),
        service.models.patch(id, {"parameters": {"api_key": 1}}),
    ):
        with pytest.raises(ValidationFailed, match="secrets"):
            await write
    assert (await service.models.patch(id, {"priority": 2})).priority == 2
    await check_plain(service, id, many(100))


async def test_undoing_brings_back_the_secret_that_was(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.models.create(model(id, PARAMETERS))
    before = (await kept(service, id))["parameters"]
    changed = await service.models.patch(id, {"parameters": {"api_key": "sk-new", "nested": None}})
    undone = await service.log.revert(changed.revision or 0)
    assert undone.after is not None
    assert undone.after["parameters"] == MASKED
    assert (await kept(service, id))["parameters"] == before
    await service.models.delete(id)
    deletion = (await service.log.changes(resource="models", id=id)).items[-1]
    await service.log.revert(deletion.revision)
    await check_plain(service, id, PARAMETERS)


async def test_lines_are_sealed_and_refused_alone(service: CRUDServiceContract) -> None:
    ids = [new_id() for _ in range(5)]
    items = [
        model(ids[0], PARAMETERS),
        model(ids[1], {"token": MASK}),
        model(ids[2], {"x": {"$sealed": "v1.0123456789abcdef.AAAA"}}),
        model(ids[3], {"temperature": 1}),
        model(ids[4], {"password": "hush"}),
    ]
    results = [result async for result in service.models.import_items(items)]
    assert [result.status for result in results] == [201, 422, 422, 201, 201]
    before = [await kept(service, ids[0]), await kept(service, ids[4])]
    assert "hush" not in json.dumps(before)
    read = [await service.models.get(ids[0]), await service.models.get(ids[3]), await service.models.get(ids[4])]
    again = [result async for result in service.models.import_items(read, on_conflict=OnConflict.REPLACE)]
    assert [result.status for result in again] == [200, 200, 200]
    after = [await kept(service, ids[0]), await kept(service, ids[4])]
    assert [one["parameters"] for one in after] == [one["parameters"] for one in before]
    await check_plain(service, ids[0], PARAMETERS)


async def test_a_collection_that_was_exported_cannot_lose_its_secrets(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.settings.create(setting(id, "hush"))
    lines = b"".join([c async for c in service.archive.export_collection(SETTINGS, FilterParams(setting_key=id))])
    [replaced] = [r async for r in service.settings.import_lines([lines], on_conflict=OnConflict.REPLACE)]
    assert replaced.status == 200
    await check_plain(service, id, "hush")
    await service.settings.delete(id)
    [refused] = [result async for result in service.settings.import_lines([lines])]
    assert (refused.status, [error.field for error in refused.errors]) == (422, ["setting_value"])


async def test_a_watch_tells_of_masks(service: CRUDServiceContract) -> None:
    id = new_id()
    await service.models.create(model(id, PARAMETERS))
    watch: AsyncIterator[Any] = service.log.watch(0, resource="models", id=id)
    change = await anext(watch)
    assert change.after["parameters"] == MASKED


async def test_errors_name_places_and_repeat_no_secret(service: CRUDServiceContract) -> None:
    with pytest.raises(SarvanOMError) as caught:
        await service.models.create(model(new_id(), {"api_key": MASK, "password": "sk-one"}))
    said = f"{caught.value.detail} {caught.value.errors}"
    assert "sk-one" not in said
