"""Which texts of a request are looked at, and under which names."""

import pytest
from pydantic import JsonValue

from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.resources import CACHE, DATASETS, USERS
from sarvanom.web.inspected_texts import (
    INSPECTED_HEADERS,
    Text,
    find_resource,
    header_texts,
    item_texts,
    path_texts,
    query_texts,
)
from tests.unit.web.asgi import http_scope

STRICT, FREE = Profile.STRICT, Profile.FREE


@pytest.mark.parametrize("path", ["/users/ada", "/users/a'b", "/models/bedrock/*/cohere.command-text-v14"])
def test_an_id_that_obeys_the_grammar_is_passed_over(path: str) -> None:
    assert list(path_texts(path)) == []


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/users/' or 7=7", ["users", "' or 7=7"]),
        ("/users/<b>/x", ["users", "<b>/x", "<b>", "x"]),
        ("/nothing/a'b", ["nothing", "a'b"]),
        ("/users", ["users", ""]),
        ("/<b>", ["<b>", ""]),
        ("/", [""]),
    ],
)
def test_segments_of_any_other_path_are_looked_at(path: str, values: list[str]) -> None:
    assert [text.value for text in path_texts(path)] == values
    assert {(text.pointer, text.profile) for text in path_texts(path)} == {("path", STRICT)}


def test_names_and_values_of_a_query_string_are_strict() -> None:
    texts = list(query_texts(b"name=%27+or&a%2Fb=&x"))
    assert texts == [
        Text("query", "name", STRICT),
        Text("query/name", "' or", STRICT),
        Text("query", "a/b", STRICT),
        Text("query/a~1b", "", STRICT),
        Text("query", "x", STRICT),
        Text("query/x", "", STRICT),
    ]


def test_an_id_that_obeys_its_grammar_is_no_text_of_a_query() -> None:
    assert [text.value for text in query_texts(b"id=a'b;--&id=a%20b&name=a'b")] == ["id", "id", "a b", "name", "a'b"]


def test_headers_are_looked_at_by_a_list_that_has_no_secrets() -> None:
    headers = [
        (b"user-agent", b"x"),
        (b"authorization", b"y"),
        (b"cookie", b"y"),
        (b"x-api-key", b"y"),
        (b"referer", b"\xff"),
    ]
    texts = list(header_texts(http_scope(headers=headers)))
    assert texts == [Text("header/user-agent", "x", STRICT), Text("header/referer", "\u00ff", STRICT)]
    assert not {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key"} & INSPECTED_HEADERS


def test_a_resource_is_found_by_the_first_segment() -> None:
    assert find_resource("/users") is find_resource("/users/ada/x") is USERS
    assert find_resource("/usersx") is None
    assert find_resource("") is None


def test_the_texts_of_an_item_have_the_profiles_of_its_declaration() -> None:
    item: JsonValue = {
        "user_id": "x' or 7=7",
        "username": "A'da",
        "email": "x' or 7=7",
        "preferences": {"a/b'": {"c~d": ["e'", 7, None, True, {"f'": "g'"}]}},
        "created_at": "x' or 7=7",
        "revision": 7,
    }
    assert list(item_texts(USERS, item)) == [
        Text("/username", "A'da", STRICT),
        Text("/preferences", "a/b'", FREE),
        Text("/preferences/a~1b'", "c~d", FREE),
        Text("/preferences/a~1b'/c~0d/0", "e'", FREE),
        Text("/preferences/a~1b'/c~0d/4", "f'", FREE),
        Text("/preferences/a~1b'/c~0d/4/f'", "g'", FREE),
    ]


def test_plain_texts_of_an_item_are_passed_over() -> None:
    item: JsonValue = {"username": "Ada.L@x/y_z-0", "preferences": {"a": {"b": ["c", {"d": "e", "f": "g h"}]}}}
    assert list(item_texts(USERS, item)) == [Text("/preferences/a/b/1/f", "g h", FREE)]


def test_tags_are_looked_at_one_by_one() -> None:
    assert list(item_texts(CACHE, {"tags": ["a'", "b", "c'"], "ttl": "c'"})) == [
        Text("/tags/0", "a'", STRICT),
        Text("/tags/2", "c'", STRICT),
    ]


def test_a_field_that_there_is_not_is_strict_with_its_name() -> None:
    assert list(item_texts(DATASETS, {"x'": {"y'": "z'"}, "x": "z'"}, "/item")) == [
        Text("/item", "x'", STRICT),
        Text("/item/x'", "y'", STRICT),
        Text("/item/x'/y'", "z'", STRICT),
        Text("/item/x", "z'", STRICT),
    ]


@pytest.mark.parametrize(
    ("item", "texts"), [("a'", ["a'"]), (["a'", "b'"], ["a'", "b'"]), ("a", []), (7, []), (None, [])]
)
def test_what_is_no_item_is_strict(item: JsonValue, texts: list[str]) -> None:
    assert [text.value for text in item_texts(USERS, item)] == texts
    assert all(text.profile is STRICT for text in item_texts(USERS, item))
