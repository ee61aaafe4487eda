"""Stored texts as such: all are walked through, and one is replaced only if it is still as it was."""

import asyncio

import pytest

from sarvanom.backends.storage.bodies import BODY_TABLES, PAGE_ROWS, PRESENT_TABLES, BodyTable, Rewrite, StoredBody
from sarvanom.backends.storage.contract import Store
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.crud_models import ModelConfiguration, SystemSetting
from sarvanom.shared.resources import ACCOUNTS, DATASETS, MODELS, SETTINGS
from tests.contracts.storage.writing import all_changes, dataset, head, keyed, patching, put, putting, remove

MODEL_TEXTS, SETTING_TEXTS, ACCOUNT_TEXTS, CHANGE_TEXTS, KEY_TEXTS = BODY_TABLES


def setting(id: str, value: int = 0) -> SystemSetting:
    return SystemSetting(setting_key=id, setting_value=value)


async def walk(store: Store, table: BodyTable) -> list[StoredBody]:
    found: list[StoredBody] = []
    while rows := await store.bodies.page(table, found[-1].key if found else table.first):
        found += rows
    return found


async def test_every_table_that_may_hold_secrets_is_known() -> None:
    assert [table.name for table in BODY_TABLES] == ["models", "settings", "accounts", "changes", "idempotency_keys"]
    assert PRESENT_TABLES == (MODEL_TEXTS, SETTING_TEXTS, ACCOUNT_TEXTS)


async def test_an_empty_store_has_no_texts(store: Store) -> None:
    assert [await walk(store, table) for table in BODY_TABLES] == [[], [], [], [], []]


async def test_a_walk_sees_every_text_once_with_its_place(store: Store) -> None:
    ids = [f"id/{number:04}" for number in range(PAGE_ROWS * 2 + 3)]
    await store.write_all([putting(SETTINGS, setting(id)) for id in ids])
    await put(store, DATASETS, dataset("d"))
    await remove(store, SETTINGS, ids[0])
    rows = await walk(store, SETTING_TEXTS)
    assert [(row.key, row.collection, row.id) for row in rows] == [(id, "settings", id) for id in ids[1:]]
    changes = await walk(store, CHANGE_TEXTS)
    assert [row.key for row in changes] == [*range(1, await head(store) + 1)]
    told = {change.revision: change for change in await all_changes(store)}
    for row in changes:
        change = told[int(row.key)]
        assert (row.collection, row.id) == (change.collection, change.id)
        assert row.body == (change.body if change.collection == "settings" else None)


async def test_a_page_of_large_texts_is_short(store: Store) -> None:
    large = [SystemSetting(setting_key=id, setting_value="x" * 5 * 2**20) for id in "abcd"]
    await store.write_all([putting(SETTINGS, item) for item in large])
    assert len(await store.bodies.page(SETTING_TEXTS, SETTING_TEXTS.first)) == 1, "two have more than 8 MiB"
    assert [row.key for row in await walk(store, SETTING_TEXTS)] == ["a", "b", "c", "d"]


async def test_a_key_has_the_text_that_its_request_does_not_hold(store: Store) -> None:
    await put(store, SETTINGS, setting("a"))
    await store.write(putting(SETTINGS, setting("b"), keyed("derivable")))
    patched = await store.write(patching(SETTINGS, "a", keyed("kept"), setting_value=1))
    assert patched.document is not None
    bodies = [row.body for row in await walk(store, KEY_TEXTS)]
    assert bodies == [None, patched.document.body]


@pytest.mark.parametrize("table", BODY_TABLES, ids=lambda table: table.name)
async def test_a_text_is_replaced_only_if_it_is_as_it_was(store: Store, other: Store, table: BodyTable) -> None:
    model = ModelConfiguration(model_name="a", provider="p")
    await put(store, MODELS, model)
    await put(store, SETTINGS, setting("a"))
    await put(store, ACCOUNTS, Account(account_id="a", password="p"))
    await store.write(patching(SETTINGS, "a", keyed("k"), setting_value=1))
    row = next(row for row in await walk(store, table) if row.body is not None)
    assert row.body is not None
    revision, changes = await head(store), len(await all_changes(store))
    assert await store.bodies.rewrite(table, [Rewrite(row.key, b"another", b"never")]) == 0
    both = [Rewrite(row.key, row.body, row.body + b" "), Rewrite(type(table.first)("999"), row.body, b"nobody")]
    assert await store.bodies.rewrite(table, both) == 1
    assert await store.bodies.rewrite(table, both) == 0
    for one in (store, other):
        assert {found.key: found.body for found in await walk(one, table)}[row.key] == row.body + b" "
    assert (await head(store), len(await all_changes(store))) == (revision, changes)


async def test_writes_and_rewrites_at_once_lose_nothing(store: Store, other: Store) -> None:
    await put(store, SETTINGS, setting("a"))

    async def rewrite() -> int:
        [row] = await other.bodies.page(SETTING_TEXTS, "")
        assert row.body is not None
        longer = row.body.replace(b'"category":"', b'"category":"c')
        return await other.bodies.rewrite(SETTING_TEXTS, [Rewrite("a", row.body, longer)])

    async def write(number: int) -> None:
        await store.write(patching(SETTINGS, "a", setting_value=number))

    lengths = 0
    for number in range(1, 20):
        rewritten, _ = await asyncio.gather(rewrite(), write(number))
        document = await store.read(SETTINGS, "a")
        assert document is not None
        assert b'"setting_value":%d' % number in document.body
        lengths += rewritten
        assert b'"category":"%s"' % (b"c" * lengths) in document.body
    assert await head(store) == 20
