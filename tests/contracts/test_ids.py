"""Ids: those of real models, paths and addresses as they are; whatever could be read as another path is refused."""

from functools import partial
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from tests.contracts.samples import MODEL, SETTING, Sample, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = (
    "meta-llama/Llama-3.1-8B",
    "bedrock/*/cohere.command-text-v14",
    "anthropic.claude-haiku-4-5@20251001",
    "ollama:qwen3:0.6b",
    "@cf/meta/llama;v=1,2",
    "it's-(very)-good!",
    "a+b&c=$d~e_f",
    "...",
    "....",
    ".hidden",
    "..hidden",
    "ends.with..",
    "a/.../b",
    "users/health/revert",
    "-",
    "0",
)
BAD = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "./a",
    "a/..",
    "a/./b",
    "a/../b",
    "a b",
    "a%20b",
    "%2e%2e",
    "a?b=c",
    "a#b",
    "a\\b",
    "a\n",
    "\na",
    "a\x00",
    "a\x7fb",
    "\u00e9",
    "\uff0e\uff0e",
    "a\u200b",
    "\U0001f600",
    '"a"',
    "<a>",
    "[a]",
    "{a}",
    "a|b",
    "a^b",
    "a`b",
    "x" * 256,
    "\ud800",
)


async def test_id_of_any_allowed_form_is_kept_as_it_is(service: CRUDServiceContract) -> None:
    models = service.models
    for good in GOOD:
        for id in (f"{good}/{new_id()}", f"{new_id()}/{good}"):
            created = await models.create(MODEL.build(id))
            assert created.model_name == id
            assert await models.get(id) == created
            assert (await models.replace(MODEL.build(id))).model_name == id
            assert (await models.patch(id, {"service": "another"})).model_name == id
            await models.delete(id)
            with pytest.raises(ResourceNotFound):
                await models.get(id)


async def test_id_may_be_a_dot_file_or_a_path_alone(service: CRUDServiceContract) -> None:
    for id in GOOD:
        created = await service.settings.replace(SETTING.build(id), create=True)
        assert await service.settings.get(id) == created
        await service.settings.delete(id)


async def test_bad_id_is_refused_before_it_is_looked_up(service: CRUDServiceContract) -> None:
    settings = service.settings
    for bad in BAD:
        for call in (partial(settings.get, bad), partial(settings.patch, bad, {}), partial(settings.delete, bad)):
            with pytest.raises(ValidationFailed) as caught:
                await call()
            assert {error.field for error in caught.value.errors} == {"setting_key"}, bad


async def test_item_with_a_bad_id_is_never_stored(own_service: CRUDServiceContract) -> None:
    """A frozen model can still be copied past its validation."""
    settings = own_service.settings
    for bad in ("", "/a", "a/../b", "a b", "a%20b", "\u00e9", "x" * 256):
        item = SETTING.build("good", category=new_id()).model_copy(update={"setting_key": bad})
        for call in (
            partial(settings.create, item),
            partial(settings.replace, item),
            partial(settings.replace, item, create=True),
        ):
            with pytest.raises(ValidationFailed):
                await call()
        assert await settings.category(item.category) == {}


async def test_id_may_have_255_characters(collection: CollectionContract[Any], sample: Sample) -> None:
    id = new_id().ljust(255, "x")
    created = await collection.create(sample.build(id))
    assert await collection.get(id) == created
    with pytest.raises(ResourceNotFound):
        await collection.get(id[:-1])
    with pytest.raises(ValidationFailed):
        await collection.get(f"{id}x")
