"""Filters: every declared condition selects what a plain evaluation of it selects, whatever the values."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.models.crud_models import FilterParams
from sarvanom.shared.queries import OPERATORS, Operator
from sarvanom.shared.resources import Column, ColumnKind
from tests.contracts.samples import DATASET, SETTING, USER, Sample, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = 26
TOKYO = timezone(timedelta(hours=9))


def folded(column: Column, value: Any) -> Any:
    return value.casefold() if column.unique and isinstance(value, str) else value


def holds(column: Column, operator: Operator, wanted: Any, item: Any) -> bool:
    """Tell whether a condition holds, by its definition."""
    value = folded(column, getattr(item, column.name))
    match operator:
        case Operator.CONTAINS:
            return set(wanted) <= set(value)
        case Operator.ONE_OF:
            return value in [folded(column, each) for each in wanted]
        case Operator.STARTS_WITH:
            return bool(value.startswith(folded(column, wanted)))
        case Operator.AT_LEAST:
            return value is not None and value >= wanted
        case Operator.AT_MOST:
            return value is not None and value <= wanted
        case _:
            return bool(value == folded(column, wanted))


def wanted_values(column: Column, operator: Operator, items: list[Any]) -> Iterable[Any]:
    """Return values to ask for: those that are there, and some around them."""
    there = list(dict.fromkeys(flatten(getattr(item, column.name) for item in items)))
    match column.kind, operator:
        case ColumnKind.BOOLEAN, _:
            return [True, False]
        case ColumnKind.TIMESTAMP, _:
            return [*there[::5], there[0].astimezone(TOKYO), there[-1] + timedelta(microseconds=1)]
        case ColumnKind.TAGS, _:
            pairs = [list(item.tags) for item in items[:6]]
            return [*([tag] for tag in there[:6]), *pairs, [there[0], "nobody's"], [there[0]] * 3, []]
        case ColumnKind.INTEGER, Operator.ONE_OF:
            return [there[:2], [there[0], -5], there, []]
        case ColumnKind.INTEGER, _:
            return [*there[:8], -1, 2**53 - 1]
        case _, Operator.ONE_OF:
            return [there[:2], there[1:9], [*there, "nothing"], ["a,b", 'c"d', "e\nf", " g "], []]
        case _, Operator.STARTS_WITH:
            return [*{text[:length] for text in there[:12] for length in (1, 40)}, "", "%", "_", "\U0010ffff", "\x00"]
        case _:
            return [*there[:12], *(text.swapcase() for text in there[:4]), "nothing", "O'R 1=1", "", "null"]


def flatten(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


async def make_rows(collection: CollectionContract[Any], sample: Sample, prefix: str) -> list[Any]:
    rows = [sample.build_row(f"{prefix}{number:02}", number) for number in range(ROWS)]
    return await asyncio.gather(*map(collection.create, rows))


async def selected(collection: CollectionContract[Any], sample: Sample, prefix: str, filters: FilterParams) -> set[str]:
    """Return the ids that filters select among a test's own rows."""
    own = f"{sample.resource.id_field}__prefix"
    if own not in filters.conditions:
        filters = filters.with_conditions(**{own: prefix})
    ids = {sample.resource.id_of(item) async for item in collection.iterate(filters)}
    return {id for id in ids if id.startswith(prefix)}


async def test_every_declared_filter_selects_what_it_says(collection: CollectionContract[Any], sample: Sample) -> None:
    prefix = f"{new_id()}/"
    items = await make_rows(collection, sample, prefix)
    for column in sample.resource.columns:
        for operator in OPERATORS[column.kind] if column.filterable else ():
            name = f"{column.name}__{operator}" if operator else column.name
            for wanted in wanted_values(column, operator, items):
                expected = {sample.resource.id_of(item) for item in items if holds(column, operator, wanted, item)}
                found = await selected(collection, sample, prefix, FilterParams(**{name: wanted}))
                assert found == expected, (name, wanted)


async def test_all_conditions_must_hold(service: CRUDServiceContract) -> None:
    prefix = f"{new_id()}/"
    items = await make_rows(service.datasets, DATASET, prefix)
    filters = FilterParams(service="svc1", size__gte=1, size__lte=7, format__in=["a", "A", "Zed"], name__prefix="a")
    expected = {
        item.dataset_id
        for item in items
        if item.service == "svc1"
        and item.size in (1, 7)
        and item.format in ("a", "A", "Zed")
        and item.name.startswith("a")
    }
    assert await selected(service.datasets, DATASET, prefix, filters) == expected
    contrary = FilterParams(size__gte=8, size__lte=7)
    assert await selected(service.datasets, DATASET, prefix, contrary) == set()


async def test_filters_follow_a_change(collection: CollectionContract[Any], sample: Sample) -> None:
    id, one, other = new_id(), new_id(), new_id()
    await collection.create(sample.build(id, service=one))
    await collection.patch(id, {"service": other})
    assert (await collection.list(None, FilterParams(service=one))).items == []
    assert [
        sample.resource.id_of(item) for item in (await collection.list(None, FilterParams(service=other))).items
    ] == [id]
    await collection.replace(sample.build(id, service=one))
    assert (await collection.list(None, FilterParams(service=other))).items == []
    await collection.delete(id)
    assert (await collection.list(None, FilterParams(service=one))).items == []


@pytest.mark.parametrize("values", [[""], ["", "a"], ["a", ""], ["", ""]])
async def test_empty_text_is_one_of_the_values(service: CRUDServiceContract, values: list[str]) -> None:
    prefix = f"{new_id()}/"
    items = await make_rows(service.settings, SETTING, prefix)
    expected = {item.setting_key for item in items if item.category in values}
    assert expected
    found = await selected(service.settings, SETTING, prefix, FilterParams(category__in=values))
    assert found == expected


async def test_one_of_as_many_values_as_a_filter_takes(service: CRUDServiceContract) -> None:
    """A hundred of the greatest length: the request's first line must carry 25 KB."""
    prefix = f"{new_id()}/"
    users = [await service.users.create(USER.build(f"{prefix}{number}")) for number in range(3)]
    others = [new_id().ljust(255, "x") for _ in range(98)]
    names = [users[0].username, *others, users[2].username]
    found = await selected(service.users, USER, prefix, FilterParams(username__in=names))
    assert found == {users[0].user_id, users[2].user_id}


async def test_filter_values_are_data(service: CRUDServiceContract) -> None:
    """What means something to a query string, to CSV or to SQL is compared as it stands."""
    prefix = f"{new_id()}/"
    names = [
        "a,b",
        '"a"',
        "a&b=c",
        "a+b",
        "a%20b",
        "a b",
        " a ",
        "a;b",
        "a#b",
        "a?b",
        "'",
        "--",
        "*",
        "\u00e9",
        "\U0001f600",
    ]
    for number, name in enumerate(names):
        await service.datasets.create(DATASET.build(f"{prefix}{number}", name=name))
    for number, name in enumerate(names):
        for filters in (FilterParams(name=name), FilterParams(name__in=[name]), FilterParams(name__in=["z", name])):
            assert await selected(service.datasets, DATASET, prefix, filters) == {f"{prefix}{number}"}, filters
    assert len(await selected(service.datasets, DATASET, prefix, FilterParams(name__in=names))) == len(names)


@pytest.mark.parametrize("year", [1, 999, 1969, 9999])
async def test_any_instant_can_be_compared_with(service: CRUDServiceContract, year: int) -> None:
    """Years have four digits, also the first thousand; a zone may put an instant beyond what Python's UTC can say."""
    prefix = f"{new_id()}/"
    user = await service.users.create(USER.build(f"{prefix}0"))
    for zone in (UTC, TOKYO, timezone(-timedelta(hours=9))):
        for moment in (datetime(year, 1, 1, tzinfo=zone), datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=zone)):
            after = FilterParams(created_at__gte=moment)
            before = FilterParams(updated_at__lte=moment)
            assert await selected(service.users, USER, prefix, after) == ({user.user_id} if year < 2000 else set())
            assert await selected(service.users, USER, prefix, before) == ({user.user_id} if year > 2000 else set())
