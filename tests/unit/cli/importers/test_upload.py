"""Items into a collection: conflicts, refusals, what ends it early, and the tally."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from sarvanom.cli.importers.upload import Tally, note_results
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    ResourceNotFound,
    SarvanOMError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict, Outcome
from sarvanom.shared.models.crud_models import SystemSetting


def make_items(count: int, value: str = "new") -> list[SystemSetting]:
    return [SystemSetting(setting_key=f"k{number}", setting_value=value) for number in range(count)]


async def upload(
    store: CRUDServiceContract,
    items: list[SystemSetting],
    on_conflict: OnConflict = OnConflict.ERROR,
) -> Tally:
    tally = Tally(len(items))
    await send(store, items, tally, on_conflict)
    return tally


async def send(
    store: CRUDServiceContract,
    items: list[SystemSetting],
    tally: Tally,
    on_conflict: OnConflict = OnConflict.ERROR,
    on_done: Callable[[int], object] = lambda _: None,
) -> None:
    results = store.settings.import_items(items, on_conflict=on_conflict)
    await note_results(results, tally, lambda line: items[line - 1].setting_key, on_done)


async def values(store: CRUDServiceContract) -> dict[str, object]:
    return {item.setting_key: item.setting_value async for item in store.settings.iterate()}


async def test_everything_arrives_and_is_counted(store: CRUDServiceContract) -> None:
    tally = await upload(store, make_items(50))
    assert tally.outcomes == {Outcome.CREATED: 50}
    assert len(await values(store)) == 50


@pytest.mark.parametrize("count", [0, 1])
async def test_few_items(store: CRUDServiceContract, count: int) -> None:
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
    assert (type(tally.halted_by), tally.halted_at) == (type(error), "k10")
    assert tally.outcomes == {Outcome.CREATED: len(await values(store))}
    assert tally.done == 10


async def test_an_error_of_the_whole_request_halts(store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch) -> None:
    async def import_two(items: list[SystemSetting], *, on_conflict: OnConflict) -> AsyncGenerator[ImportResult]:
        yield ImportResult(line=1, status=201, outcome=Outcome.CREATED)
        yield ImportResult(line=2, status=201, outcome=Outcome.CREATED)
        raise UpstreamFailed("It broke off")

    monkeypatch.setattr(store.settings, "import_items", import_two)
    tally = await upload(store, make_items(5))
    assert (tally.done, tally.halted_at) == (2, "k2")
    assert isinstance(tally.halted_by, UpstreamFailed)


async def test_each_line_that_is_done_is_told(store: CRUDServiceContract) -> None:
    told: list[int] = []
    await send(store, make_items(5), Tally(5), on_done=told.append)
    assert told == [1, 2, 3, 4, 5]


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
    running = asyncio.create_task(send(store, make_items(100), tally))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tally.outcomes == {Outcome.CREATED: 7}
