"""Documents of megabytes: pages end early, and nothing is lost behind their ends, whoever reads them."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import pytest
from pydantic_core import from_json

from sarvanom.backends.storage.contract import Store
from sarvanom.backends.storage.pages import MAX_PAGE_BYTES
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.feed import Feed
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.models.crud_models import FilterParams
from sarvanom.shared.query_strings import continued, parse_query
from sarvanom.shared.resources import DATASETS
from tests.contracts.storage.writing import dataset, put
from tests.harness.secrets import sealed

MEBIBYTE: Final = 2**20
QUARTER: Final = MAX_PAGE_BYTES // 4
EVENT_ID: Final = re.compile(rb"(?:^|\n)id: (\d+)\nevent: ").finditer


async def fill_around_a_large_one(store: Store, before: int) -> list[str]:
    """Store one document of 18 MB, patched together, behind some small ones and before others; return the ids."""
    service = StoredCRUDService(sealed(store))
    for number in range(before):
        await put(store, DATASETS, dataset(f"a{number}"))
    await put(store, DATASETS, dataset("b"))
    for field in ("one", "two"):
        await service.datasets.patch("b", {"metadata": {field: "x" * 9 * MEBIBYTE}})
    for number in range(5):
        await put(store, DATASETS, dataset(f"c{number}"))
    return [*(f"a{number}" for number in range(before)), "b", *(f"c{number}" for number in range(5))]


async def fill_a_page(store: Store, missing: int) -> list[str]:
    """Store four documents whose bodies lack so many bytes to a page, and three small ones; return the ids."""
    sizes = [await put_large(store, f"a{number}", QUARTER) for number in range(3)]
    frame = sizes[0] - QUARTER
    size = await put_large(store, "a3", MAX_PAGE_BYTES - missing - sum(sizes) - frame)
    assert sum(sizes) + size == MAX_PAGE_BYTES - missing
    for number in range(3):
        await put(store, DATASETS, dataset(f"c{number}"))
    return ["a0", "a1", "a2", "a3", "c0", "c1", "c2"]


async def put_large(store: Store, id: str, size: int) -> int:
    """Store a document with a text of this size; return how large it is itself."""
    written = await put(store, DATASETS, dataset(id, metadata={"text": "x" * size}))
    assert written.document is not None
    return len(written.document.body)


@pytest.fixture(params=["first", "among others", "exact fit", "one byte too many"])
async def ids(request: pytest.FixtureRequest, store: Store) -> list[str]:
    """The ids of what the store holds, in order."""
    match request.param:
        case "first":
            return await fill_around_a_large_one(store, 0)
        case "among others":
            return await fill_around_a_large_one(store, 3)
        case name:
            return await fill_a_page(store, {"exact fit": 0, "one byte too many": -1}[name])


async def test_a_list_walks_past_them(store: Store, ids: list[str]) -> None:
    query = parse_query(DATASETS, b"include_total=true")
    found = list[str]()
    cursor: str | None = ""
    while cursor is not None:
        page = await store.list(DATASETS, continued(query, cursor) if cursor else query)
        assert len(page.bodies) == 1 or sum(map(len, page.bodies)) <= MAX_PAGE_BYTES
        assert page.total == len(ids)
        found += [from_json(body)["dataset_id"] for body in page.bodies]
        cursor = page.next_cursor
    assert found == ids


async def test_an_export_has_them_all(store: Store, ids: list[str]) -> None:
    archive = StoredCRUDService(sealed(store)).archive
    exported = b"".join([chunk async for chunk in archive.export_collection(DATASETS, FilterParams())])
    assert [from_json(line)["dataset_id"] for line in exported.splitlines()] == ids
    whole = b"".join([chunk async for chunk in archive.export()])
    assert [from_json(line)["item"]["dataset_id"] for line in whole.splitlines()[1:-1]] == ids


async def test_changes_come_once_in_order(store: Store, ids: list[str]) -> None:
    head = (await store.log.bounds()).head
    assert head >= len(ids)
    since, found = 0, list[int]()
    while since < head:
        page = await store.log.page(ChangeQuery(since))
        sizes = [len(change.body or b"") for change in page.changes]
        assert len(sizes) == 1 or sum(sizes) <= MAX_PAGE_BYTES
        found += [change.revision for change in page.changes]
        since = page.until
    assert found == [*range(1, head + 1)]


async def test_a_watch_tells_of_all_that_was(store: Store, ids: list[str]) -> None:
    feed, query = Feed(store.log), ChangeQuery(since=0)
    head = await feed.begin(ChangeQuery())
    assert head >= len(ids)
    async with aclosing(feed.watch(query, await feed.begin(query))) as events:
        assert await revisions_until(events, head) == [*range(1, head + 1)]


async def test_a_watch_tells_of_what_comes(store: Store) -> None:
    feed, query = Feed(store.log), ChangeQuery()
    async with aclosing(feed.watch(query, await feed.begin(query))) as events:
        await anext(events)
        await fill_around_a_large_one(store, 0)
        assert await revisions_until(events, 8) == [*range(1, 9)]


async def revisions_until(events: AsyncGenerator[bytes], last: int) -> list[int]:
    """Read events up to a revision; return whose they are."""
    seen = list[int]()
    async with asyncio.timeout(30):
        while last not in seen:
            seen += [int(match[1]) for match in EVENT_ID(await anext(events))]
    return seen
