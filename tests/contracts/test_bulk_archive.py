"""An export restores into an empty store byte for byte, revisions and times included, or not at all."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.services.crud.archive import MAX_EXPORTS
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import (
    MalformedJSON,
    ResourceNotFound,
    RevisionCompacted,
    SarvanOMError,
    ServiceUnavailable,
    StoreNotEmpty,
    ValidationFailed,
)
from tests.contracts.conftest import open_service
from tests.contracts.samples import CACHE_ENTRY, MODEL, SAMPLES, SETTING, USER, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

type Open = Callable[[], CRUDServiceContract]


@pytest.fixture(params=["store", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """What opens an empty store, each time another one."""

    def open() -> CRUDServiceContract:
        folder = tmp_path / new_id()
        folder.mkdir()
        return open_service(request.param, request, folder)

    return open


@pytest_asyncio.fixture(loop_scope="session")
async def source(open_store: Open) -> AsyncIterator[CRUDServiceContract]:
    """A store with a few of everything, in which some were changed and some deleted."""
    async with open_store() as opened:
        for sample in SAMPLES:
            collection = sample.collection(opened)
            items = [sample.build(new_id()) for _ in range(3)]
            for item in items:
                await collection.create(item)
            await collection.patch(sample.resource.id_of(items[0]), {"service": "changed"})
            await collection.delete(sample.resource.id_of(items[1]))
        yield opened


async def export(service: CRUDServiceContract) -> bytes:
    return b"".join([chunk async for chunk in service.archive.export()])


async def in_chunks(text: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def untimed(text: bytes) -> bytes:
    """Return an export without the time at which it was made."""
    return re.sub(rb'"exported_at":"[^"]+"', b"", text, count=1)


async def test_a_restored_store_exports_the_same_again(source: CRUDServiceContract, open_store: Open) -> None:
    text = await export(source)
    async with open_store() as target:
        summary = await target.archive.restore(in_chunks(text))
        assert summary.items == {**{sample.resource.collection: 2 for sample in SAMPLES}, "keys": 0, "accounts": 0}
        assert summary.revision == (await source.log.changes()).revision
        assert untimed(await export(target)) == untimed(text)


async def test_life_goes_on_after_a_restore(source: CRUDServiceContract, open_store: Open) -> None:
    text = await export(source)
    async with open_store() as target:
        revision = (await target.archive.restore(in_chunks(text))).revision
        [model, _] = (await target.models.list()).items
        changed = await target.models.patch(model.model_name, {"priority": 1})
        assert changed.revision == revision + 1
        assert await target.models.get(model.model_name, at_revision=revision) == model
        with pytest.raises(RevisionCompacted):
            await target.models.get(model.model_name, at_revision=revision - 1)
        reverted = await target.log.revert(revision + 1)
        assert reverted.revision == revision + 2
        assert (await target.models.get(model.model_name)).priority == model.priority
        changes = await target.log.changes(revision)
        assert [change.revision for change in changes.items] == [revision + 1, revision + 2]
        entry = await target.cache.create(CACHE_ENTRY.build(new_id()))
        assert (entry.revision or 0) > max(item.revision or 0 for item in (await source.cache.list()).items)
        with pytest.raises(StoreNotEmpty):
            await target.archive.restore(in_chunks(text))


async def test_unique_fields_tags_and_lists_work_after_a_restore(source: CRUDServiceContract, open_store: Open) -> None:
    text = await export(source)
    async with open_store() as target:
        await target.archive.restore(in_chunks(text))
        [user, _] = (await source.users.list()).items
        assert await target.users.by_email(user.email.upper()) == user
        twin = USER.build(new_id()).model_copy(update={"username": user.username})
        [result] = [result async for result in target.users.import_items([twin])]
        assert [error.field for error in result.errors] == ["username"]
        assert await target.cache.invalidate(tag="a") == 2


async def test_what_expired_since_is_left_out(open_store: Open) -> None:
    async with open_store() as service:
        await service.cache.create(CACHE_ENTRY.build("short", ttl=1))
        await service.cache.create(CACHE_ENTRY.build("long"))
        await service.cache.create(CACHE_ENTRY.build("endless", ttl=None))
        text = await export(service)
        assert text.count(b'"resource":"cache"') == 3
        await asyncio.sleep(1.05)
        assert (await export(service)).count(b'"resource":"cache"') == 2
    async with open_store() as target:
        assert (await target.archive.restore(in_chunks(text))).items["cache"] == 2
        with pytest.raises(ResourceNotFound):
            await target.cache.get("short")
        assert (await target.cache.get("endless")).ttl is None


async def test_a_store_that_was_used_is_refused_even_if_nothing_is_left(open_store: Open) -> None:
    async with open_store() as empty:
        text = await export(empty)
        assert text.count(b"\n") == 2
        await empty.cache.create(CACHE_ENTRY.build("a"))
        await empty.cache.delete("a")
        with pytest.raises(StoreNotEmpty):
            await empty.archive.restore(in_chunks(text))


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change of the last place where a text stands."""

    def change(text: bytes) -> bytes:
        head, found, tail = text.rpartition(old)
        assert found
        return head + new + tail

    return change


def drop_line(text: bytes) -> bytes:
    first, _, rest = text.split(b"\n", 2)
    return first + b"\n" + rest


def repeat_line(text: bytes) -> bytes:
    first, second, rest = text.split(b"\n", 2)
    count = int(re.findall(rb'"items":(\d+)', rest)[-1])
    return b"\n".join((first, second, second, rest)).replace(b'"items":%d}' % count, b'"items":%d}' % (count + 1))


BROKEN: dict[str, tuple[Callable[[bytes], bytes], type[SarvanOMError], str]] = {
    "nothing": (lambda _: b"", ValidationFailed, "truncated"),
    "no header": (lambda text: text.partition(b"\n")[2], ValidationFailed, "Line 1 "),
    "another format": (swap(b'"sarvanom-export"', b'"other"'), ValidationFailed, "Line 1 "),
    "another version": (swap(b'"version":1', b'"version":2'), ValidationFailed, "Line 1 "),
    "no end": (lambda text: text.rstrip().rpartition(b"\n")[0] + b"\n", ValidationFailed, "truncated"),
    "cut in a line": (lambda text: text[: len(text) // 2], MalformedJSON, "Line "),
    "a line less": (drop_line, ValidationFailed, "Line 11 "),
    "a line twice": (repeat_line, ValidationFailed, "Line 3 "),
    "more after the end": (lambda text: text + b"{}\n", ValidationFailed, "Line 13 "),
    "a field that is not valid": (swap(b'"priority":', b'"priority":9'), ValidationFailed, "Line "),
    "an unknown field": (swap(b'"priority":', b'"more":1,"priority":'), ValidationFailed, "Line "),
    "an unknown collection": (swap(b'"resource":"users"', b'"resource":"other"'), ValidationFailed, "Line "),
    "no revision": (swap(b'"revision":', b'"revision":null,"x":'), ValidationFailed, "Line "),
    "a revision beyond the last": (swap(b'"revision":', b'"revision":9'), ValidationFailed, "Line "),
    "a time without an offset": (swap(b'Z","updated_at"', b'","updated_at"'), ValidationFailed, "Line "),
    "a byte that is no text": (swap(b'"service":"', b'"service":"\xff'), MalformedJSON, "Line "),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_changes_nothing(source: CRUDServiceContract, open_store: Open, name: str) -> None:
    break_it, error, said = BROKEN[name]
    text = await export(source)
    async with open_store() as target:
        nothing = await export(target)
        with pytest.raises(error) as caught:
            await target.archive.restore(in_chunks(break_it(text)))
        assert said in caught.value.detail
        assert untimed(await export(target)) == untimed(nothing)
        assert (await target.archive.restore(in_chunks(text))).revision > 0


async def test_two_of_the_same_revision_are_refused_with_the_line(open_store: Open) -> None:
    async with open_store() as service:
        for id in ("a", "b"):
            await service.settings.create(SETTING.build(id))
        text = (await export(service)).replace(b'"revision":1}', b'"revision":2}')
    async with open_store() as target:
        with pytest.raises(ValidationFailed) as caught:
            await target.archive.restore(in_chunks(text))
        assert "Line 3 " in caught.value.detail
        assert [error.field for error in caught.value.errors] == ["item.revision"]


async def test_an_upload_that_breaks_off_changes_nothing(source: CRUDServiceContract, open_store: Open) -> None:
    text = await export(source)

    async def break_off() -> AsyncIterator[bytes]:
        yield text[:-100]
        raise ConnectionResetError

    async with open_store() as target:
        with pytest.raises(ConnectionResetError):
            await target.archive.restore(break_off())
        assert (await target.log.changes()).revision == 0


async def test_an_export_shows_one_state_whatever_is_written_meanwhile(open_store: Open) -> None:
    async with open_store() as service:
        items = [SETTING.build(f"k{number:05}", setting_value="x" * 1000) for number in range(3_000)]
        assert len([result async for result in service.settings.import_items(items)]) == 3_000
        chunks = service.archive.export()
        text = await anext(chunks)
        await service.settings.delete("k02999")
        await service.settings.create(SETTING.build("z"))
        await service.users.create(USER.build(new_id()))
        text += b"".join([chunk async for chunk in chunks])
    assert b'"revision":3000,' in text.partition(b"\n")[0]
    assert text.endswith(b'{"end":true,"items":3000}\n')
    assert text.count(b'"resource"') == 3_000
    assert b'"k02999"' in text


async def test_exports_that_are_left_are_counted_off(open_store: Open) -> None:
    async with open_store() as service:
        await service.settings.create(SETTING.build("a"))
        begun = [service.archive.export() for _ in range(MAX_EXPORTS)]
        for chunks in begun:
            await anext(chunks)
        with pytest.raises(ServiceUnavailable):
            await anext(service.archive.export())
        for chunks in begun:
            await chunks.aclose()  # type: ignore[attr-defined]
        assert (await export(service)).endswith(b'{"end":true,"items":1}\n')


ids = st.sampled_from(["a", "b", "c", "d/e"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Text that PostgreSQL's columns need not hold: it stands in the body alone.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from(["cache", "settings", "models"]), ids, values)
)


async def take(service: CRUDServiceContract, step: tuple[str, str, str, Any]) -> None:
    action, name, id, value = step
    sample = {"cache": CACHE_ENTRY, "settings": SETTING, "models": MODEL}[name]
    field, put = {
        "cache": ("value", value),
        "settings": ("setting_value", value),
        "models": ("parameters", {"v": value}),
    }[name]
    collection = sample.collection(service)
    try:
        if action == "delete":
            await collection.delete(id)
        else:
            item = sample.build(id, **{field: put})
            await collection.create(item) if id == "a" else await collection.replace(item, create=True)
    except SarvanOMError:
        pass


@given(steps=steps)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_store_round_trips(open_store: Open, steps: list[tuple[str, str, str, Any]]) -> None:
    async with open_store() as service, open_store() as target:
        for step in steps:
            await take(service, step)
        text = await export(service)
        await target.archive.restore(in_chunks(text, 37))
        assert untimed(await export(target)) == untimed(text)
