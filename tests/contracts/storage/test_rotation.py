"""Rotation: everything that is kept comes under the new key while others write, and nothing that is said changes."""

import asyncio
from collections.abc import Sequence

import pytest

from sarvanom.backends.storage.bodies import BODY_TABLES, Bodies, BodyKey, BodyTable, Rewrite, StoredBody
from sarvanom.backends.storage.contract import Origin, Store, Written
from sarvanom.security.sealed_text import key_ids
from sarvanom.security.sealing import Sealer
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.rotation import RotationReport, rotate
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.models.crud_models import ModelConfiguration, SystemSetting
from sarvanom.shared.resources import DATASETS, MODELS, SETTINGS
from tests.contracts.storage.writing import all_changes, dataset, keyed, put, putting
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring, sealed

OLD, NEW = keyring(MASTER_KEY).ids[0], keyring(OTHER_KEY).ids[0]
ROWS = 300


async def turn(store: Store, *keys: str) -> RotationReport:
    return await rotate(store.bodies, Sealer(keyring(*(keys or (OTHER_KEY, MASTER_KEY)))), lambda *_: None)


def model(id: str, key: str = "sk-hush", **fields: object) -> ModelConfiguration:
    parameters = {"api_key": key, "list": [{"token": key}, {"b": 1e-06, "c": -0.0}]}
    return ModelConfiguration.model_validate(
        {"model_name": id, "provider": "p", "parameters": parameters, **fields}, strict=False
    )


async def fill(store: SealedStore) -> None:
    """Keep secrets in every table, and in the past."""
    service = StoredCRUDService(store)
    await store.write_all([putting(MODELS, model(f"m/{number}")) for number in range(ROWS)])
    await store.write_all(
        [
            putting(SETTINGS, SystemSetting(setting_key=f"s{number}", setting_value=["hush", number], encrypted=True))
            for number in range(ROWS)
        ]
    )
    for number in range(5):
        origin = Origin(key=keyed(f"k{number}").key)
        await service.collection(MODELS).patch_document(f"m/{number}", {"parameters": {"token": "hush"}}, origin=origin)
    await service.models.delete("m/0")
    await put(store, DATASETS, dataset("d"))


async def everything(store: Store) -> list[tuple[str, StoredBody]]:
    found: list[tuple[str, StoredBody]] = []
    for table in BODY_TABLES:
        after = table.first
        while rows := await store.bodies.page(table, after):
            found += [(table.name, row) for row in rows]
            after = rows[-1].key
    return found


async def keys_in_use(store: Store) -> set[str]:
    return {id for _, row in await everything(store) for id in key_ids(row.body or b"")}


async def test_everything_comes_under_the_new_key_and_says_the_same(store: Store) -> None:
    old = sealed(store, MASTER_KEY)
    await fill(old)
    before = [await all_changes(old), (await old.read(MODELS, "m/1")), await store.log.bounds()]
    report = await turn(store)
    assert (report.left, report.broken) == (0, [])
    assert {table: dict(counted) for table, counted in report.values.items()} == {
        "models": {NEW: 2 * (ROWS - 1) + 4},
        "settings": {NEW: ROWS},
        "accounts": {},
        "changes": {NEW: 3 * ROWS + 5 * 3},
        "idempotency_keys": {NEW: 5 * 3},
    }
    assert report.rewritten == (ROWS - 1) + ROWS + (2 * ROWS + 5) + 5
    assert await keys_in_use(store) == {NEW}
    new = sealed(store, OTHER_KEY)
    assert [await all_changes(new), (await new.read(MODELS, "m/1")), await store.log.bounds()] == before
    service = StoredCRUDService(new)
    assert (await service.settings.get("s7", reveal=True)).setting_value == ["hush", 7]
    assert (await service.models.get("m/1", reveal=True)).parameters == model("m/1").parameters | {"token": "hush"}
    past = await service.models.get("m/1", at_revision=ROWS, reveal=True)
    assert past.parameters == model("m/1").parameters


async def test_a_second_run_has_nothing_to_do(store: Store) -> None:
    await fill(sealed(store, MASTER_KEY))
    await turn(store)
    before = await everything(store)
    assert (await turn(store)).rewritten == 0
    assert await everything(store) == before


async def test_replays_stay_the_same_over_a_rotation(store: Store) -> None:
    old, both = StoredCRUDService(sealed(store, MASTER_KEY)), StoredCRUDService(sealed(store, OTHER_KEY, MASTER_KEY))
    first = await old.collection(MODELS).create_document(model("m"), keyed("create"))
    patched = await old.collection(MODELS).patch_document("m", {"parameters": {"token": "x"}}, origin=keyed("patch"))
    await turn(store)
    again = await both.collection(MODELS).create_document(model("m"), keyed("create"))
    assert again == first._replace(is_replay=True)
    again = await both.collection(MODELS).patch_document("m", {"parameters": {"token": "x"}}, origin=keyed("patch"))
    assert again == patched._replace(is_replay=True)


class Failing(Bodies):
    """Bodies of a store that go away after some rewrites."""

    def __init__(self, inner: Bodies, rewrites: int) -> None:
        self.inner, self.left = inner, rewrites

    async def page(self, table: BodyTable, after: BodyKey) -> list[StoredBody]:
        return await self.inner.page(table, after)

    async def rewrite(self, table: BodyTable, rewrites: Sequence[Rewrite]) -> int:
        if self.left == 0:
            raise ServiceUnavailable("The database is away")
        self.left -= 1
        return await self.inner.rewrite(table, rewrites)


@pytest.mark.parametrize("rewrites", [0, 1, 3])
async def test_what_was_interrupted_goes_on_with_what_is_left(store: Store, rewrites: int) -> None:
    await fill(sealed(store, MASTER_KEY))
    with pytest.raises(ServiceUnavailable):
        await rotate(Failing(store.bodies, rewrites), Sealer(keyring(OTHER_KEY, MASTER_KEY)), lambda *_: None)
    assert await keys_in_use(store) == ({OLD, NEW} if rewrites else {OLD})
    both = StoredCRUDService(sealed(store, OTHER_KEY, MASTER_KEY))
    for id in ("m/1", f"m/{ROWS - 1}"):
        assert (await both.models.get(id, reveal=True)).parameters["api_key"] == "sk-hush"
    report = await turn(store)
    assert report.left == 0
    assert report.rewritten < 4 * ROWS + 10
    assert await keys_in_use(store) == {NEW}


async def test_writers_beside_it_lose_nothing_and_leave_nothing_behind(store: Store, other: Store) -> None:
    await fill(sealed(store, MASTER_KEY))
    writer = StoredCRUDService(sealed(other, OTHER_KEY, MASTER_KEY))
    written: list[Written] = []

    async def write() -> None:
        for number in range(1, 60):
            id, secret = f"m/{number % 7 + 1}", f"sk-{number}"
            written.append(await writer.collection(MODELS).patch_document(id, {"parameters": {"api_key": secret}}))
            written.append(await writer.collection(MODELS).patch_document(id, {"priority": number % 9 + 1}))

    report, _ = await asyncio.gather(turn(store), write())
    assert report.left == 0
    assert await keys_in_use(store) == {NEW}
    new = StoredCRUDService(sealed(store, OTHER_KEY))
    for number in range(53, 60):
        found = await new.models.get(f"m/{number % 7 + 1}", reveal=True)
        assert (found.parameters["api_key"], found.priority) == (f"sk-{number}", number % 9 + 1)
    revisions = [one.revision for one in written]
    assert revisions == sorted(set(revisions))


async def test_a_value_under_the_old_key_is_told_of(store: Store) -> None:
    await fill(sealed(store, MASTER_KEY))
    report = await turn(store, OTHER_KEY)
    assert report.rewritten == 0
    assert report.left > 4 * ROWS
    assert report.values["settings"][OLD] == ROWS
    assert len(report.broken) == len(set(report.broken)) == (ROWS - 1) + ROWS + (2 * ROWS + 5) + 5
    assert "settings s7" in report.broken


async def test_a_damaged_value_is_told_of_and_the_others_are_done(store: Store) -> None:
    await fill(sealed(store, MASTER_KEY))
    [settings] = [table for table in BODY_TABLES if table.name == "settings"]
    [row, *_] = await store.bodies.page(settings, "")
    assert row.body is not None
    at = row.body.index(b"$sealed") + 40
    damaged = row.body[:at] + (b"A" if row.body[at : at + 1] != b"A" else b"B") + row.body[at + 1 :]
    assert await store.bodies.rewrite(settings, [Rewrite(row.key, row.body, damaged)]) == 1
    report = await turn(store)
    assert report.broken == [f"settings {row.key}"]
    assert report.left == 2  # it is under the old key, and it does not open
    assert report.values["settings"] == {NEW: ROWS - 1, OLD: 1}


async def test_what_was_kept_in_plain_is_sealed(store: Store) -> None:
    """A store that was written to before there were secrets in it."""
    await put(store, MODELS, model("m"))
    await put(store, SETTINGS, SystemSetting(setting_key="open", setting_value={"api_key": "hush"}))
    plain = StoredCRUDService(sealed(store, MASTER_KEY))
    assert (await plain.models.get("m")).parameters["api_key"] == "sk-hush"
    assert (await turn(store, MASTER_KEY)).left == 0
    assert (await plain.models.get("m")).parameters["api_key"] == "********"
    assert (await plain.models.get("m", reveal=True)).parameters == model("m").parameters
    assert (await plain.settings.get("open")).setting_value == {"api_key": "hush"}
    assert not [row for _, row in await everything(store) if b"sk-hush" in (row.body or b"")]
