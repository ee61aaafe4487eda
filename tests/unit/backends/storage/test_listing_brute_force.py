"""Lists out of SQLite against lists that are filtered and sorted by hand."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.backends.storage.contract import DocumentPage
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.shared.models.crud_models import CacheEntry, Dataset
from sarvanom.shared.queries import OPERATORS, ListQuery, Operator
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, ColumnKind, Resource
from tests.unit.backends.storage.rows import WORDS, put

SIZES = (None, 0, 1, 7, None, 2**53 - 1)
COUNT = 60


class Filled(NamedTuple):
    """A store with items, and the items as the store serves them."""

    ask: Callable[[Resource[Any], ListQuery], DocumentPage]
    items: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    store = SQLiteStore(tmp_path_factory.mktemp("listing") / "s.db")
    with asyncio.Runner() as runner:

        async def fill() -> None:
            for number in range(COUNT):
                dataset = Dataset(
                    dataset_id=f"d/{number * 7 % COUNT:02}",
                    name=WORDS[number // 2 % len(WORDS)] or "-",
                    source=WORDS[number % len(WORDS)],
                    format=WORDS[number // 3 % len(WORDS)],
                    size=SIZES[number % len(SIZES)],
                    service=f"s{number % 3}",
                )
                tags = [WORDS[number % 5] or "-", WORDS[number % 7] or "-"]
                await put(store, DATASETS, dataset)
                await put(store, CACHE, CacheEntry(key=dataset.dataset_id, value=number, tags=tags))

        async def read(resource: Resource[Any]) -> list[dict[str, Any]]:
            page = await store.list(resource, parse_query(resource, b"limit=1000"))
            return [orjson.loads(body) for body in page.bodies]

        runner.run(fill())
        items = {resource.collection: runner.run(read(resource)) for resource in (DATASETS, CACHE)}
        yield Filled(lambda resource, query: runner.run(store.list(resource, query)), items)
        runner.run(store.aclose())


def holds(item: dict[str, Any], operator: Operator, name: str, value: Any) -> bool:
    found = item[name]
    match operator:
        case Operator.CONTAINS:
            return set(value) <= set(found)
        case Operator.STARTS_WITH:
            return bool(found.startswith(value))
        case Operator.AT_LEAST:
            return found is not None and bool(found >= value)
        case Operator.AT_MOST:
            return found is not None and bool(found <= value)
        case Operator.ONE_OF:
            return found in value
        case _:
            return bool(found == value)


def by_hand(items: list[dict[str, Any]], query: ListQuery) -> list[dict[str, Any]]:
    found = [
        item for item in items if all(holds(item, one.operator, one.column.name, one.value) for one in query.conditions)
    ]
    for order in reversed(query.orders):
        name = order.column.name
        found.sort(key=lambda item: -1 if item[name] is None else item[name], reverse=order.descending)
    return found


def filters(resource: Resource[Any]) -> st.SearchStrategy[list[tuple[str, str]]]:
    words = st.sampled_from([word for word in WORDS if word])
    texts = words | words.map(lambda word: word[:1]) | st.sampled_from(["d/", "d/0", "s1", "zz"])
    numbers = st.sampled_from(["0", "1", "7", "8", "60", "90"])
    one = []
    for column in resource.columns:
        for operator in OPERATORS[column.kind] if column.filterable and column.kind is not ColumnKind.TIMESTAMP else ():
            value = numbers if column.kind is ColumnKind.INTEGER else texts
            if operator is Operator.ONE_OF:
                value = st.lists(value.filter(lambda text: '"' not in text), min_size=1, max_size=3).map(",".join)
            one.append(st.tuples(st.just(f"{column.name}__{operator}" if operator else column.name), value))
    return st.lists(st.one_of(one), max_size=2, unique_by=lambda pair: pair[0])


def sorts(resource: Resource[Any]) -> st.SearchStrategy[str]:
    names = [column.name for column in resource.columns if column.sortable]
    term = st.tuples(st.sampled_from(["", "-"]), st.sampled_from(names)).map("".join)
    return st.lists(term, min_size=1, max_size=3).map(",".join)


SEARCHED: list[Resource[Any]] = [DATASETS, CACHE]
LISTS = st.sampled_from(SEARCHED).flatmap(
    lambda resource: st.tuples(st.just(resource), filters(resource), sorts(resource))
)


@given(LISTS, st.integers(0, 5), st.integers(1, 25))
@settings(deadline=None, max_examples=80)
def test_list_is_what_sorting_and_filtering_by_hand_gives(
    filled: Filled, asked: tuple[Resource[Any], list[tuple[str, str]], str], skip: int, limit: int
) -> None:
    resource, conditions, sort = asked
    parameters = [*conditions, ("sort", sort), ("limit", str(limit)), ("include_total", "true")]
    query = parse_query(resource, urlencode([*parameters, ("skip", str(skip))]).encode())
    expected = by_hand(filled.items[resource.collection], query)
    page = filled.ask(resource, query)
    assert [orjson.loads(body) for body in page.bodies] == expected[skip : skip + limit]
    assert page.total == len(expected)
    assert (page.next_cursor is None) is (len(expected) <= skip + limit)


@given(LISTS, st.integers(1, 25))
@settings(deadline=None, max_examples=40)
def test_pages_by_cursor_hold_everything_once_in_order(
    filled: Filled, asked: tuple[Resource[Any], list[tuple[str, str]], str], limit: int
) -> None:
    resource, conditions, sort = asked
    parameters = [*conditions, ("sort", sort), ("limit", str(limit))]
    query = parse_query(resource, urlencode(parameters).encode())
    expected = by_hand(filled.items[resource.collection], query)
    pages = [filled.ask(resource, query)]
    while pages[-1].next_cursor is not None:
        following = urlencode([*parameters, ("cursor", pages[-1].next_cursor)]).encode()
        pages.append(filled.ask(resource, parse_query(resource, following)))
    assert [orjson.loads(body) for page in pages for body in page.bodies] == expected
    assert all(len(page.bodies) == limit for page, _ in pairwise(pages))


def test_fields_cut_items_down(filled: Filled) -> None:
    page = filled.ask(DATASETS, parse_query(DATASETS, b"fields=size,revision&limit=3&sort=-size"))
    whole = filled.ask(DATASETS, parse_query(DATASETS, b"limit=3&sort=-size"))
    names = ("dataset_id", "size", "revision")
    cut = [{name: orjson.loads(body)[name] for name in names} for body in whole.bodies]
    assert [orjson.loads(body) for body in page.bodies] == cut
    assert page.next_cursor == whole.next_cursor
