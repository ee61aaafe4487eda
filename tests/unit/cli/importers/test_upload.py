"""Items into a collection: order, bounds, conflicts, and the tally."""

import asyncio
from collections.abc import Iterator

import pytest

from sarvanom.cli.importers.upload import OnConflict, Outcome, Tally, Upload
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    ResourceNotFound,
    SarvanOMError,
    ServiceUnavailable,
    UpstreamTimeout,
    ValidationFailed,
)
from sarvanom.shared.models.crud_models import SystemSetting


def make_items(count: int, value: str = "new") -> list[SystemSetting]:
    return [SystemSetting(setting_key=f"k{number}", setting_value=value) for number in range(count)]


async def upload(
    store: CRUDServiceContract,
    items: list[SystemSetting],
    on_conflict: OnConflict = OnConflict.ERROR,
) -> Tally:
    tally = Tally(len(items))
    await Upload(store.settings, tally, on_conflict, concurrency=4).run(items)
    return tally


async def values(store: CRUDServiceContract) -> dict[str, object]:
    return {item.setting_key: item.setting_value async for item in store.settings.iterate()}


async def test_everything_arrives_and_is_counted(store: CRUDServiceContract) -> None:
    tally = await upload(store, make_items(50))
    assert tally.outcomes == {Outcome.CREATED: 50}
    assert len(await values(store)) == 50


@pytest.mark.parametrize("count", [0, 1])
async def test_fewer_items_than_workers(store: CRUDServiceContract, count: int) -> None:
    assert (await upload(store, make_items(count))).done == count


@pytest.mark.parametrize(
    ("on_conflict", "outcome", "value"),
    [
        (OnConflict.ERROR, Outcome.REFUSED, "old"),
        (OnConflict.SKIP, Outcome.SKIPPED, "old"),
        (OnConflict.REPLACE, Outcome.REPLACED, "new"),
    ],
)
async def test_a_taken_id(store: CRUDServiceContract, on_conflict: OnConflict, outcome: Outcome, value: str) -> None:
    await upload(store, make_items(3, "old"))
    tally = await upload(store, make_items(5), on_conflict)
    assert tally.outcomes == {Outcome.CREATED: 2, outcome: 3}
    assert (await values(store)) == {
        **dict.fromkeys(["k0", "k1", "k2"], value),
        **dict.fromkeys(["k3", "k4"], "new"),
    }


async def test_the_first_ten_reasons_are_kept(store: CRUDServiceContract) -> None:
    await upload(store, make_items(12))
    tally = await upload(store, make_items(12))
    assert tally.outcomes == {Outcome.REFUSED: 12}
    assert len(tally.reasons) == 10
    assert tally.reasons[0] == ("k0: There is already a setting with this id (setting_key: Is taken)")


async def test_an_item_that_vanishes_before_it_is_replaced_is_refused(
    store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(store, make_items(1))

    async def replace(item: SystemSetting) -> SystemSetting:
        await store.settings.delete(item.setting_key)
        raise ResourceNotFound("There is no setting k0")

    monkeypatch.setattr(store.settings, "replace", replace)
    tally = await upload(store, make_items(1), OnConflict.REPLACE)
    assert tally.reasons == ["k0: There is no setting k0"]


async def test_a_refusal_does_not_stop_the_others(store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch) -> None:
    create = store.settings.create

    async def create_some(item: SystemSetting) -> SystemSetting:
        if item.setting_key == "k3":
            raise ValidationFailed("No", errors=[FieldError("setting_value", "Odd")])
        return await create(item)

    monkeypatch.setattr(store.settings, "create", create_some)
    tally = await upload(store, make_items(20))
    assert tally.outcomes == {Outcome.CREATED: 19, Outcome.REFUSED: 1}
    assert tally.reasons == ["k3: No (setting_value: Odd)"]


@pytest.mark.parametrize("error", [ServiceUnavailable("away"), UpstreamTimeout("slow"), InternalError("odd")])
async def test_an_error_that_would_meet_every_item_halts(
    store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch, error: SarvanOMError
) -> None:
    create = store.settings.create

    async def create_until(item: SystemSetting) -> SystemSetting:
        await asyncio.sleep(0)
        if item.setting_key == "k10":
            raise error
        return await create(item)

    monkeypatch.setattr(store.settings, "create", create_until)
    tally = await upload(store, make_items(1000))
    assert (tally.halted_by, tally.halted_at) == (error, "k10")
    assert tally.outcomes == {Outcome.CREATED: len(await values(store))}
    assert 10 <= tally.done < 20


async def test_workers_are_few_and_items_are_pulled_when_needed(
    store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, pulled, most = 0, 0, 0

    def pull() -> Iterator[SystemSetting]:
        nonlocal pulled
        for item in make_items(100):
            pulled += 1
            yield item

    async def create(item: SystemSetting) -> SystemSetting:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert len(asyncio.all_tasks()) <= 1 + 4
        assert pulled <= tally.done + 4
        await asyncio.sleep(0)
        running -= 1
        return item

    monkeypatch.setattr(store.settings, "create", create)
    tally = Tally(100)
    told: list[None] = []
    await Upload(store.settings, tally, concurrency=4, on_done=lambda: told.append(None)).run(pull())
    assert (most, tally.done, len(told)) == (4, 100, 100)


async def test_a_cancelled_upload_leaves_a_true_tally(
    store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = store.settings.create
    reached = asyncio.Event()

    async def create_some(item: SystemSetting) -> SystemSetting:
        if int(item.setting_key[1:]) >= 7:
            reached.set()
            await asyncio.Event().wait()
        return await create(item)

    monkeypatch.setattr(store.settings, "create", create_some)
    tally = Tally(100)
    running = asyncio.create_task(Upload(store.settings, tally).run(make_items(100)))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tally.outcomes == {Outcome.CREATED: 7}
