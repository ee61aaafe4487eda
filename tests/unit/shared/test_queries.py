"""Lists as query strings: what a client encodes is what a service understands."""

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams, FilterValue, PaginationParams
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.shared.queries import OPERATORS, ListParams, Operator, encode_query, list_params
from sarvanom.shared.query_strings import build_query, parse_query
from sarvanom.shared.resources import CACHE, DATASETS, MODELS, RESOURCES, USERS, ColumnKind, Resource

TEXTS = st.text(max_size=6) | st.text('a",;&=+% \r\n', max_size=6)
INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
TIMES = st.datetimes(
    min_value=datetime(1, 1, 1),  # noqa: DTZ001
    max_value=datetime(9999, 12, 31, 23),  # noqa: DTZ001
    timezones=st.timedeltas(-timedelta(hours=23), timedelta(hours=23))
    .map(lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))),
)  # fmt: skip
SCALARS: dict[ColumnKind, st.SearchStrategy[Any]] = {
    ColumnKind.TEXT: TEXTS,
    ColumnKind.INTEGER: INTEGERS,
    ColumnKind.BOOLEAN: st.booleans(),
    ColumnKind.TIMESTAMP: TIMES,
    ColumnKind.TAGS: TEXTS,
}


def one_filter(resource: Resource[Any]) -> st.SearchStrategy[tuple[str, FilterValue]]:
    choices = []
    for column in resource.columns:
        for operator in OPERATORS[column.kind] if column.filterable else ():
            value = SCALARS[column.kind]
            if operator in (Operator.ONE_OF, Operator.CONTAINS):
                value = st.lists(value, min_size=1, max_size=3)
            choices.append(st.tuples(st.just(f"{column.name}__{operator}" if operator else column.name), value))
    return st.one_of(choices)


def stored(resource: Resource[Any], name: str, value: Any) -> Any:
    column = resource.column(name.partition("__")[0])
    assert column is not None
    return [column.stored(item) for item in value] if isinstance(value, list) else column.stored(value)


FILTERS = st.one_of([st.tuples(st.just(one), st.lists(one_filter(one), max_size=3).map(dict)) for one in RESOURCES])


@given(FILTERS)
@example((CACHE, {"tags__contains": ["", ","]}))
@example((DATASETS, {"format__in": [""], "size__in": [1, -1], "source__in": ["", "", '"']}))
@settings(deadline=None, max_examples=150)
def test_filters_arrive_as_they_were_sent(sent: tuple[Resource[Any], dict[str, Any]]) -> None:
    resource, conditions = sent
    query = parse_query(resource, encode_query(filters=FilterParams(**conditions)).encode())
    received = {
        f"{one.column.name}__{one.operator}" if one.operator else one.column.name: one.value for one in query.conditions
    }
    assert received == {name: stored(resource, name, value) for name, value in conditions.items()}


def test_list_without_texts_finds_nothing() -> None:
    query = parse_query(DATASETS, encode_query(filters=FilterParams(format__in=[])).encode())
    assert [condition.value for condition in query.conditions] == [[]]


@given(st.integers(1, 1000), st.integers(0, MAX_INTEGER), st.booleans())
@settings(deadline=None)
def test_page_arrives_as_it_was_asked_for(limit: int, skip: int, include_total: bool) -> None:
    asked = PaginationParams(limit=limit, skip=skip, include_total=include_total, sort="-size,name")
    query = parse_query(DATASETS, encode_query(asked).encode())
    assert (query.limit, query.skip, query.include_total) == (limit, skip, include_total)
    assert [(order.column.name, order.descending) for order in query.orders] == [
        ("size", True), ("name", False), ("created_at", False), ("dataset_id", False),
    ]  # fmt: skip


def test_what_was_not_asked_for_is_not_sent() -> None:
    assert encode_query() == encode_query(PaginationParams(), FilterParams()) == ""
    assert encode_query(PaginationParams(limit=100, skip=1)) == "skip=1"
    assert encode_query(filters=FilterParams(enabled=False)) == "enabled=false"


def test_lists_are_sent_as_csv_or_again_and_again() -> None:
    filters = FilterParams(source__in=["a", "b,c", 'd"e', "f\ng"], tags__contains=["x,y", "z"], size__in=[1, 2])
    assert parse_qsl(encode_query(filters=filters)) == [
        ("source__in", 'a,"b,c","d""e","f\ng"'),
        ("tags__contains", "x,y"),
        ("tags__contains", "z"),
        ("size__in", "1,2"),
    ]


@pytest.mark.parametrize(
    ("resource", "filters"),
    [
        (USERS, {"preferences": "a"}),
        (USERS, {"username__gte": "a"}),
        (MODELS, {"priority__prefix": 1}),
        (MODELS, {"priority": True}),
        (MODELS, {"enabled": 1}),
        (MODELS, {"priority": MAX_INTEGER + 1}),
        (MODELS, {"created_at": "2026-01-01T00:00:00Z"}),
        (MODELS, {"created_at__gte": "2026-01-01T00:00:00"}),
        (MODELS, {"provider": ["open", "azure"]}),
        (MODELS, {"provider__in": ["x"] * 1001}),
        (CACHE, {"tags__contains": ["x"] * 65}),
        (CACHE, {"tags": "x"}),
        (DATASETS, {"source": "x" * 4097}),
        (DATASETS, {"name": "\ud800"}),
        (DATASETS, {"name__in": ["a", "\ud800"]}),
        (DATASETS, {"limit": 7}),
        (DATASETS, {"sort": "name"}),
        (CACHE, {"fields": "key"}),
    ],
)
def test_filter_that_a_collection_does_not_know_is_refused(resource: Resource[Any], filters: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        build_query(resource, filters=FilterParams(**filters))


@pytest.mark.parametrize(
    "query",
    [
        *("", "limit=1000", "sort=-user_id", "sort=email", "sort=-email,-user_id", "sort=-updated_at", "service=a"),
        *("sort=created_at,user_id", "service=a&sort=-created_at", "sort=updated_at,created_at,user_id"),
    ],
)
def test_page_that_stands_in_an_index_as_it_is_asked_for_is_bounded(query: str) -> None:
    assert parse_query(USERS, query.encode()).is_bounded


@pytest.mark.parametrize(
    "query",
    [
        *("skip=1", "include_total=true", "fields=email", "sort=email,-user_id", "sort=updated_at,email", "email=a"),
        *("service=a&sort=user_id", "service=a&sort=email", "service__in=a", "service=a&email=b", "service__prefix=a"),
        "sort=-updated_at,created_at",
    ],
)
def test_page_that_has_to_be_sorted_or_looked_for_is_not_bounded(query: str) -> None:
    assert not parse_query(USERS, query.encode()).is_bounded


def test_what_expires_may_have_to_be_passed_over() -> None:
    assert not parse_query(CACHE, b"").is_bounded


@pytest.mark.parametrize("resource", RESOURCES)
def test_parameters_of_a_list_are_drawn_without_nulls_and_defaults(resource: Resource[Any]) -> None:
    schema = list_params(resource).model_json_schema()
    described = schema["properties"]
    assert schema["additionalProperties"] is False
    for name in set(described) - {"limit", "skip", "include_total"}:
        assert "default" not in described[name], name
        assert "null" not in str(described[name]), name
    assert described["limit"]["maximum"] == 1000
    assert set(ListParams.model_fields) <= set(described)


def test_pattern_of_sort_and_fields_names_what_there_is() -> None:
    described = list_params(USERS).model_json_schema()["properties"]
    assert "username" in described["sort"]["pattern"]
    assert "preferences" not in described["sort"]["pattern"]
    assert "preferences" in described["fields"]["pattern"]
    assert issubclass(list_params(USERS), BaseModel)
