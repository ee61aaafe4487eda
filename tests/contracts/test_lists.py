"""Lists: every sort, pages by cursor and by skip, totals, and what a cursor promises while others write."""

import asyncio
import itertools
import random
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.models.crud_models import FilterParams, Page, PaginationParams, SystemSetting
from tests.contracts.samples import SETTING, USER, Sample, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")


ROWS = 23
ENOUGH_BYTES = 6 * 2**20
"""A page ends early before a row with which it would have more than 16 MiB; a row has at most 10."""


def id_prefix(sample: Sample, prefix: str) -> FilterParams:
    """Return the filter on a test's own rows."""
    return FilterParams(**{f"{sample.resource.id_field}__prefix": prefix})


async def make_rows(collection: CollectionContract[Any], sample: Sample, prefix: str, count: int = ROWS) -> list[Any]:
    """Create rows, many in the same transaction, so that some share their timestamps."""
    ids = [f"{prefix}{random.getrandbits(32):08x}{number:03}" for number in range(count)]
    rows = [sample.build_row(id, number) for number, id in enumerate(ids)]
    return await asyncio.gather(*map(collection.create, rows))


async def walk(
    collection: CollectionContract[Any], filters: FilterParams | None, sort: str | None, limit: int
) -> list[Any]:
    """Return everything that a walk by cursor sees, in its order."""
    seen: list[Any] = []
    cursor = None
    while True:
        page = await collection.list(PaginationParams(limit=limit, cursor=cursor, sort=sort), filters)
        seen += page.items
        assert len(page.items) <= limit
        if (cursor := page.next_cursor) is None:
            return seen
        is_full = len(page.items) == limit or sum(len(item.to_json()) for item in page.items) > ENOUGH_BYTES
        assert is_full, "a page that is not the last is full"


def sort_key(sample: Sample, field: str, item: Any) -> tuple[Any, ...]:
    """Return what a field sorts as: unique text without its case, null below everything."""
    value = getattr(item, field)
    if value is None:
        return (0,)
    return (1, value.casefold() if field in sample.resource.unique else value)


def tie_key(sample: Sample, item: Any) -> tuple[Any, str]:
    return (item.created_at, sample.resource.id_of(item))


def assert_sorted(sample: Sample, sort: str, items: list[Any]) -> None:
    """Check the order by each key, and that ties run one way by creation and id."""
    terms = sort.split(",")
    ties = set()
    for one, next_one in itertools.pairwise(items):
        for term in terms:
            field = term.removeprefix("-")
            before, after = sort_key(sample, field, one), sort_key(sample, field, next_one)
            if before != after:
                assert (before < after) != term.startswith("-"), (sort, before, after)
                break
        else:
            ties.add(tie_key(sample, one) < tie_key(sample, next_one))
    assert len(ties) <= 1, f"{sort}: ties run both ways"


def sorts_of(sample: Sample) -> list[str]:
    """Return every field in both directions, every pair in mixed ones, and everything at once."""
    fields = sample.sortable
    pairs = [
        f"{sign}{one},{'-' * (not sign)}{other}"
        for one, other in itertools.combinations(fields, 2)
        for sign in ("", "-")
    ]
    alternating = ",".join("-" * (number % 2) + field for number, field in enumerate(reversed(fields)))
    return [*fields, *(f"-{field}" for field in fields), *pairs, alternating]


async def test_walk_sees_each_item_once_in_every_order(collection: CollectionContract[Any], sample: Sample) -> None:
    prefix = f"{new_id()}/"
    rows = {sample.resource.id_of(row): row for row in await make_rows(collection, sample, prefix)}
    for sort in sorts_of(sample):
        items = await walk(collection, id_prefix(sample, prefix), sort, 7)
        assert sorted(map(sample.resource.id_of, items)) == sorted(rows), sort
        assert all(rows[sample.resource.id_of(item)] == item for item in items), sort
        assert_sorted(sample, sort, items)


async def test_walk_without_sort_or_filter_sees_each_item_once(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    prefix = f"{new_id()}/"
    rows = await make_rows(collection, sample, prefix, 12)
    keys = [tie_key(sample, item) for item in await walk(collection, None, None, 200)]
    assert keys == sorted(set(keys)), "by creation and id, without repeats"
    assert [key for key in keys if key[1].startswith(prefix)] == sorted(tie_key(sample, row) for row in rows)


async def test_rows_that_stay_are_seen_once_while_others_come_and_go(
    collection: CollectionContract[Any], sample: Sample
) -> None:
    fields = sample.sortable
    mixed = ",".join(f"{'-' * (number % 2)}{field}" for number, field in enumerate([*fields[1:], fields[0]]))
    for sort in (*(f"{'-' * (number % 2)}{field}" for number, field in enumerate(fields)), mixed):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        prefix = f"{new_id()}/"
        staying = {sample.resource.id_of(row) for row in await make_rows(collection, sample, prefix, 12)}
        ever = set(staying)
        seen: list[str] = []
        cursor = None
        while True:
            page = await collection.list(PaginationParams(limit=3, cursor=cursor, sort=sort), id_prefix(sample, prefix))
            seen += map(sample.resource.id_of, page.items)
            if (cursor := page.next_cursor) is None:
                break
            victims = {chance.choice(seen), chance.choice(sorted(staying))} & staying
            newcomer = sample.build_row(f"{prefix}{chance.getrandbits(32):08x}new", chance.randrange(ROWS))
            await asyncio.gather(collection.create(newcomer), *map(collection.delete, victims))
            staying -= victims
            ever.add(sample.resource.id_of(newcomer))
        assert len(seen) == len(set(seen)), f"{sort}: repeated (seed {seed})"
        assert staying <= set(seen) <= ever, f"{sort}: skipped {staying - set(seen)} (seed {seed})"


async def test_skip_and_limit_cut_the_same_list(collection: CollectionContract[Any], sample: Sample) -> None:
    prefix = f"{new_id()}/"
    await make_rows(collection, sample, prefix, 11)
    filters, sort = id_prefix(sample, prefix), f"-{sample.sortable[-1]}"
    whole = (await collection.list(PaginationParams(sort=sort), filters)).items
    assert len(whole) == 11
    for skip, limit in ((0, 1), (3, 4), (10, 1), (10, 5), (11, 1), (50, 1000), (2**53 - 1, 1)):
        page = await collection.list(PaginationParams(skip=skip, limit=limit, sort=sort), filters)
        assert page.items == whole[skip : skip + limit]
        assert page.limit == limit
        assert (page.next_cursor is None) == (skip + limit >= 11)


async def test_total_counts_everything_that_matches(collection: CollectionContract[Any], sample: Sample) -> None:
    prefix = f"{new_id()}/"
    filters = id_prefix(sample, prefix)
    nothing = await collection.list(PaginationParams(include_total=True), filters)
    assert (nothing.items, nothing.next_cursor, nothing.total) == ([], None, 0)
    rows = await make_rows(collection, sample, prefix, 7)
    first = await collection.list(PaginationParams(limit=3, include_total=True), filters)
    second = await collection.list(PaginationParams(limit=3, include_total=True, cursor=first.next_cursor), filters)
    skipped = await collection.list(PaginationParams(skip=100, include_total=True), filters)
    assert [first.total, second.total, skipped.total] == [7, 7, 7]
    one = await collection.list(PaginationParams(include_total=True), filters.with_conditions(service=rows[0].service))
    assert one.total == sum(row.service == rows[0].service for row in rows)
    assert (await collection.list(None, filters)).total is None


async def test_page_says_what_it_is(service: CRUDServiceContract) -> None:
    page = await service.users.list()
    assert type(page.items) is list
    assert page.limit == 100
    prefix = f"{new_id()}/"
    await make_rows(service.users, USER, prefix, 4)
    exact: Page[Any] = await service.users.list(PaginationParams(limit=4), id_prefix(USER, prefix))
    assert exact.next_cursor is None, "nothing follows"
    assert len(exact.items) == 4


async def test_page_ends_early_before_it_grows_too_large(service: CRUDServiceContract) -> None:
    prefix = f"{new_id()}/"
    for number in range(19):
        await service.settings.create(SystemSetting(setting_key=f"{prefix}{number:02}", setting_value="x" * 2**20))
    first = await service.settings.list(None, id_prefix(SETTING, prefix))
    assert first.next_cursor is not None
    second = await service.settings.list(PaginationParams(cursor=first.next_cursor), id_prefix(SETTING, prefix))
    assert [item.setting_key for item in first.items + second.items] == [f"{prefix}{number:02}" for number in range(19)]
    assert second.next_cursor is None
    assert len(first.items) in (15, 16)
    for item in first.items + second.items:
        await service.settings.delete(item.setting_key)
