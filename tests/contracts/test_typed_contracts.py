"""What models, datasets and settings add to a collection."""

import asyncio

import pytest
from pydantic import JsonValue

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.models.crud_models import FilterParams, SystemSetting
from tests.contracts.samples import DATASET, MODEL, SETTING, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_enabled_models_come_by_priority_then_name(service: CRUDServiceContract) -> None:
    owner = new_id()
    for name, priority, enabled in (
        ("b", 5, True),
        ("a", 5, True),
        ("z", 10, True),
        ("m", 1, True),
        ("off", 10, False),
        ("B", 5, True),
    ):
        await service.models.create(MODEL.build(f"{owner}/{name}", priority=priority, enabled=enabled, service=owner))
    await service.models.create(MODEL.build(new_id(), enabled=True, service=f"{owner}x"))
    enabled_names = [model.model_name.partition("/")[2] for model in await service.models.enabled(owner)]
    assert enabled_names == ["z", "B", "a", "b", "m"]
    await service.models.patch(f"{owner}/z", {"enabled": False})
    await service.models.patch(f"{owner}/m", {"priority": 9})
    enabled_names = [model.model_name.partition("/")[2] for model in await service.models.enabled(owner)]
    assert enabled_names == ["m", "B", "a", "b"]


async def test_service_without_models_has_none_enabled(service: CRUDServiceContract) -> None:
    assert list(await service.models.enabled(new_id())) == []


async def test_datasets_of_a_format_come_by_name(service: CRUDServiceContract) -> None:
    format = f"{new_id()},parquet & co"
    for name in ("b", "a", "C", "\u00e9", "a"):
        await service.datasets.create(DATASET.build(new_id(), name=name, format=format))
    await service.datasets.create(DATASET.build(new_id(), format=f"{format}x"))
    found = await service.datasets.in_format(format)
    assert [dataset.name for dataset in found] == ["C", "a", "a", "b", "\u00e9"]
    assert {dataset.format for dataset in found} == {format}
    assert list(await service.datasets.in_format(new_id())) == []


async def test_settings_of_a_category_are_a_mapping(service: CRUDServiceContract) -> None:
    category = new_id()
    kinds: list[JsonValue] = [None, 0, "", [], {}, {"a": [1]}, False]
    values = {f"{category}/{number}": value for number, value in enumerate(kinds)}
    for key, value in values.items():
        await service.settings.create(SystemSetting(setting_key=key, setting_value=value, category=category))
    await service.settings.create(SETTING.build(new_id(), category=category.upper()))
    assert dict(await service.settings.category(category)) == values
    assert dict(await service.settings.category(new_id())) == {}


async def test_everything_is_read_also_when_it_is_more_than_a_page(service: CRUDServiceContract) -> None:
    category, count = new_id(), 1_005
    for start in range(0, count, 67):
        numbers = range(start, min(start + 67, count))
        await asyncio.gather(
            *(
                service.settings.create(
                    SystemSetting(setting_key=f"{category}/{number}", setting_value=number, category=category)
                )
                for number in numbers
            )
        )
    values = await service.settings.category(category)
    assert values == {f"{category}/{n}": n for n in range(count)}
    sorted_keys = [
        item.setting_key
        async for item in service.settings.iterate(FilterParams(category=category), sort="-category,setting_key")
    ]
    assert sorted_keys == sorted(values)
