"""Raw query strings: every one is a valid list or refused, cursors above all."""

import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.shared.queries import ListQuery, list_params
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, MODELS, RESOURCES, USERS, ColumnKind, ColumnValue, Resource


def parse(resource: Resource[Any], **parameters: str) -> ListQuery:
    return parse_query(resource, urlencode(parameters).encode())


def refused(resource: Resource[Any], query_string: bytes) -> list[str]:
    """Return the fields by whose names a query string is refused."""
    with pytest.raises(ValidationFailed) as caught:
        parse_query(resource, query_string)
    return [error.field for error in caught.value.errors]


NAMES = sorted({name for resource in RESOURCES for name in list_params(resource).model_fields})
PIECES = st.sampled_from(
    [b"&", b"=", b"%", b"+", b",", b'"', b"-", b"%00", b"%ff", b"%22", b"1", b"true", b";", b"\x80"]
)
KNOWN = st.sampled_from(NAMES).map(str.encode)
PAIRS = st.tuples(KNOWN, st.just(b"="), PIECES | st.text(max_size=5).map(lambda text: quote_plus(text).encode()))
STRINGS = st.lists(PIECES | KNOWN | PAIRS.map(b"".join) | st.just(b"&"), max_size=12).map(b"".join)


@given(st.sampled_from(RESOURCES), st.binary(max_size=60) | STRINGS)
@example(USERS, b"created_at__gte=0001-01-01T00:00:00%2B01:00")
@example(USERS, b"updated_at__lte=9999-12-31T23:59:59-01:00")
@example(MODELS, b"provider__in=a%0Db")
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_list_or_refused(resource: Resource[Any], query_string: bytes) -> None:
    try:
        query = parse_query(resource, query_string)
    except ValidationFailed as refusal:
        error: ValidationFailed | None = refusal
    else:
        error = None
        assert 1 <= query.limit <= 1000
        assert query.orders[-1].column.name == resource.id_field
    assert error is None or error.errors


@pytest.mark.parametrize(
    ("query_string", "fields"),
    [
        (b"limit=0", ["limit"]),
        (b"limit=", ["limit"]),
        (b"limit=1001&skip=-1", ["limit", "skip"]),
        (b"limit=10&limit=20", ["limit"]),
        (b"limit=5&limit=5", ["limit"]),
        (b"service=&service=", ["service"]),
        (b"include_total=1", ["include_total"]),
        (b"sort=", ["sort"]),
        (b"sort=name,,size", ["sort"]),
        (b"sort=--name", ["sort"]),
        (b"sort=metadata", ["sort"]),
        (b"sort=dataset_id,colour", ["sort"]),
        (b"fields=", ["fields"]),
        (b"fields=name,colour", ["fields"]),
        (b"name__like=a", ["name__like"]),
        (b"colour=red", ["colour"]),
        (b"=", [""]),
        (b"name=%c3", [""]),
        (b"name=\xc3\xa9", [""]),
        (b"&".join(b"a%d=" % number for number in range(201)), [""]),
        (b"source__in=%22a", ["source__in"]),
        (b"source__in=%22a%22b", ["source__in"]),
        (b"size__in=1,x", ["size__in.1"]),
        (b"created_at__gte=1700000000", ["created_at__gte"]),
        (b"created_at__gte=2026-01-31", ["created_at__gte"]),
        (b"created_at__gte=2026-01-31T00:00:00", ["created_at__gte"]),
        (b"source__in=%22a&source__in=b%22", ["source__in"]),
    ],
)
def test_parameter_that_breaks_a_rule_is_refused_by_name(query_string: bytes, fields: list[str]) -> None:
    assert refused(DATASETS, query_string) == fields


def test_same_list_is_parsed_once() -> None:
    assert parse(DATASETS, limit="7") is parse(DATASETS, limit="7")
    assert parse(USERS, limit="7") is not parse(MODELS, limit="7")


def test_repeated_lists_are_joined() -> None:
    query = parse_query(DATASETS, b"format__in=a,b&format__in=c&name=x")
    assert [one.value for one in query.conditions] == [["a", "b", "c"], "x"]
    tags = parse_query(CACHE, b"tags__contains=a,b&tags__contains=c")
    assert [one.value for one in tags.conditions] == [["a,b", "c"]]


def test_conditions_have_one_order_whatever_theirs_was() -> None:
    one = parse_query(DATASETS, b"size__lte=9&name=x&size__gte=1")
    other = parse_query(DATASETS, b"size__gte=1&size__lte=9&name=x")
    assert one.conditions == other.conditions


def test_conditions_compare_what_is_stored() -> None:
    query = parse(USERS, email="Ada@Example.ORG", username__prefix="AD", created_at__gte="2026-01-31T02:00:00+02:00")
    assert {one.value for one in query.conditions} == {"ada@example.org", "ad", "2026-01-31T00:00:00.000000Z"}


@pytest.mark.parametrize(
    ("sort", "orders"),
    [
        (None, [("created_at", False), ("dataset_id", False)]),
        ("name", [("name", False), ("created_at", False), ("dataset_id", False)]),
        ("-name", [("name", True), ("created_at", True), ("dataset_id", True)]),
        ("-name,size", [("name", True), ("size", False), ("created_at", False), ("dataset_id", False)]),
        ("-name,-size", [("name", True), ("size", True), ("created_at", True), ("dataset_id", True)]),
        ("-name,name", [("name", True), ("created_at", True), ("dataset_id", True)]),
        ("-created_at,name", [("created_at", True), ("name", False), ("dataset_id", False)]),
        ("-dataset_id,name", [("dataset_id", True)]),
        ("size,-dataset_id", [("size", False), ("dataset_id", True)]),
    ],
)
def test_order_is_total_by_creation_and_id(sort: str | None, orders: list[tuple[str, bool]]) -> None:
    query = parse_query(DATASETS, b"" if sort is None else b"sort=" + sort.encode())
    assert [(order.column.name, order.descending) for order in query.orders] == orders


def test_fields_always_have_the_id() -> None:
    assert parse(DATASETS, fields="name,size,name").fields == ("dataset_id", "name", "size")
    assert parse(DATASETS, fields="revision,dataset_id").fields == ("dataset_id", "revision")
    assert parse(DATASETS).fields is None


SORTS = [
    (resource, prefix + column.name)
    for resource in RESOURCES
    for column in resource.columns
    if column.sortable
    for prefix in ("", "-")
]
SORTED = st.sampled_from(SORTS)


def last_values(query: ListQuery) -> st.SearchStrategy[list[ColumnValue]]:
    numbers, texts = st.integers(-1, MAX_INTEGER), st.text(max_size=20)
    return st.tuples(
        *(numbers if order.column.kind is ColumnKind.INTEGER else texts for order in query.orders)
    ).map(list)  # fmt: skip


@given(SORTED, st.data())
@settings(deadline=None)
def test_cursor_leads_to_where_the_page_ended(sorted_by: tuple[Resource[Any], str], data: st.DataObject) -> None:
    resource, sort = sorted_by
    first = parse(resource, sort=sort)
    last = data.draw(last_values(first))
    cursor = first.cursor(last)
    assert quote_plus(cursor) == cursor
    following = parse(resource, sort=sort, cursor=cursor)
    assert following.after == tuple(last)
    assert following.cursor(last) == cursor
    other = "service" if sort.endswith("created_at") else "created_at"
    assert refused(resource, f"sort={other}&cursor={cursor}".encode()) == ["sort" if other == "service" else "cursor"]


TAMPERED = st.text(max_size=30) | st.binary(max_size=30).map(lambda raw: base64.urlsafe_b64encode(raw).decode())


def as_json(value: object) -> str:
    return base64.urlsafe_b64encode(repr(value).replace("'", '"').encode()).decode()


@given(TAMPERED | st.lists(st.integers() | st.text("ab", max_size=3) | st.just("user_id"), max_size=4).map(as_json))
@example(as_json(["user_id"]))
@example(as_json(["user_id", 1]))
@example(as_json(["user_id", "a", "b"]))
@example(as_json(["user_id", ["a"]]))
@example(as_json(7))
@example(base64.urlsafe_b64encode(b'["user_id", null]').decode())
@example(base64.urlsafe_b64encode(b'["user_id", "\\ud800"]').decode())
@example(base64.urlsafe_b64encode(b"[" * 3000).decode())
@example(base64.urlsafe_b64encode(b"[" + b"9" * 3000 + b"]").decode())
@settings(deadline=None, max_examples=150)
def test_tampered_cursor_is_a_position_or_refused(cursor: str) -> None:
    fields, after = ["cursor"], None
    try:
        after = parse(USERS, cursor=cursor).after
    except ValidationFailed as error:
        fields = [one.field for one in error.errors]
    assert fields == ["cursor"]
    assert after is None or [type(value) for value in after] == [str]


@given(SORTED, st.data())
@settings(deadline=None, max_examples=200)
def test_cursor_with_a_byte_changed_is_a_position_or_refused(
    sorted_by: tuple[Resource[Any], str], data: st.DataObject
) -> None:
    resource, sort = sorted_by
    query = parse(resource, sort=sort)
    cursor = query.cursor(data.draw(last_values(query)))
    place = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:place] + data.draw(st.sampled_from("Aa0-_~ ")) + cursor[place + data.draw(st.integers(0, 1)) :]
    try:
        after = parse(resource, sort=sort, cursor=changed).after
    except ValidationFailed:
        return
    assert after is not None
    assert len(after) == len(query.orders)


@pytest.mark.parametrize("size", [-2, MAX_INTEGER + 1, True, 1.0, "1"])
def test_cursor_with_a_number_that_no_item_has_is_refused(size: Any) -> None:
    query = parse(DATASETS, sort="size")
    assert refused(DATASETS, f"sort=size&cursor={query.cursor([size, 'a'])}".encode()) == ["cursor"]


def test_cursor_that_is_too_long_is_refused() -> None:
    assert refused(USERS, b"cursor=" + b"A" * 4097) == ["cursor"]
