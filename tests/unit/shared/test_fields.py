"""The types of fields: what an id, a name, an address and a JSON value may be."""

import json
import re
from typing import Any

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sarvanom.shared.models.fields import (
    EMAIL_PATTERN,
    ID_PATTERN,
    MAX_ID_LENGTH,
    MAX_INTEGER,
    MAX_JSON_DEPTH,
    Email,
    JsonObject,
    JsonValue,
    Name,
    QueryBool,
    QueryInt,
    ShortText,
    Tags,
)
from sarvanom.shared.resources import is_valid_id

# RFC 3986, sections 2.2, 2.3 and 3.3, letter by letter.
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
SUB_DELIMS = "!$&'()*+,;="
PCHAR = UNRESERVED + SUB_DELIMS + ":@"

IDS = st.text(PCHAR + "/./.", max_size=300) | st.text(PCHAR + '/%?#[] "\\<>^`{|}\x00\n\x7f\u00e9') | st.text(max_size=8)


def obeys_rfc(id: str) -> bool:
    if not 1 <= len(id) <= 255:
        return False
    segments = id.split("/")
    return all(segment not in ("", ".", "..") and set(segment) <= set(PCHAR) for segment in segments)


@given(IDS)
@example("...")
@example("..a")
@example(".a/..")
@example("a\n")
@example("")
@settings(deadline=None, max_examples=200)
def test_id_is_valid_exactly_if_the_rfc_lets_it_stand_in_a_path(id: str) -> None:
    assert is_valid_id(id) is obeys_rfc(id)


@given(st.lists(st.sampled_from([".", "..", "...", "a", "/", "~", ".a"]), max_size=6).map("".join))
@settings(deadline=None, max_examples=200)
def test_id_with_dots_and_slashes_names_one_path_only(id: str) -> None:
    assert is_valid_id(id) is obeys_rfc(id)


def test_every_character_is_judged_as_the_rfc_does() -> None:
    assert [chr(code) for code in range(0x3000) if is_valid_id(chr(code))] == sorted(set(PCHAR) - {"."})


def test_id_has_at_most_255_characters() -> None:
    assert is_valid_id("x" * MAX_ID_LENGTH)
    assert not is_valid_id("x" * (MAX_ID_LENGTH + 1))


@given(IDS)
@settings(deadline=None)
def test_pattern_means_the_same_to_other_regular_expressions(id: str) -> None:
    """OpenAPI shows it to readers of ECMAScript; `$` there matches at the very end alone, as `fullmatch` does."""
    assert (re.fullmatch(ID_PATTERN.strip("^$"), id) is not None and 0 < len(id) <= 255) is obeys_rfc(id)


def accepts(annotation: Any, value: object) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "address",
    [
        "a@b",
        "ada@example.org",
        "Ada.Lovelace+x@Sub.Example.ORG",
        "!#$%&'*+/=?^_`{|}~-@a-b",
        "x" * 64 + "@e.org",
        "a@" + "y" * 63,
    ],
)
def test_address_of_the_mail_standard_is_accepted(address: str) -> None:
    assert accepts(Email, address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "..@a",
        ".a@b",
        "a.@b",
        "a..b@c",
        '"a"@b',
        "a@-b",
        "a@b-",
        "a@b..c",
        "a@b.",
        "a@b\n",
        "\u00e9@b",
        "a@\u00e9",
        "x" * 65 + "@e",
        "a@" + "y" * 64,
        "a@" + ".".join(["y" * 62] * 4) + ".org",
    ],
)
def test_address_that_is_none_is_refused(address: str) -> None:
    assert not accepts(Email, address)


def test_address_is_at_most_254_characters_long() -> None:
    longest = "a@" + ".".join(["y" * 62] * 4)
    assert len(longest) == 253
    assert accepts(Email, f"b{longest}")
    assert not accepts(Email, f"bb{longest}")
    assert re.search(EMAIL_PATTERN, f"bb{longest}")


def test_names_have_no_control_characters() -> None:
    refused = [code for code in range(0x200) if not accepts(Name, f"a{chr(code)}")]
    assert refused == [*range(0x20), 0x7F] == [c for c in range(0x200) if not accepts(ShortText, chr(c))]


@pytest.mark.parametrize(
    ("text", "name", "short"), [("", False, True), ("x" * 255, True, True), ("x" * 256, False, False)]
)
def test_names_are_not_empty_and_short_texts_may_be(text: str, *, name: bool, short: bool) -> None:
    assert (accepts(Name, text), accepts(ShortText, text)) == (name, short)


def test_there_are_at_most_64_tags() -> None:
    assert accepts(Tags, ["a"] * 64)
    assert not accepts(Tags, ["a"] * 65)
    assert not accepts(Tags, ["a", ""])


TEXT = st.text(max_size=10)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10)
_value: TypeAdapter[Any] = TypeAdapter(JsonValue)


@given(JSON)
@settings(deadline=None)
def test_every_json_value_is_kept_as_it_is(value: Any) -> None:
    kept = _value.validate_python(value)
    assert json.dumps(kept) == json.dumps(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [lambda x: x, lambda x: [x], lambda x: {"a": [0.5, {"b": x}]}])
def test_number_that_json_lacks_is_refused_wherever_it_stands(number: float, place: Any) -> None:
    assert not accepts(JsonValue, place(number))
    assert not accepts(JsonObject, {"a": place(number)})


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1e999]", "NaN", '{"a": Infinity}'])
def test_number_beyond_a_double_is_refused_in_json_text(text: str) -> None:
    with pytest.raises(ValidationError):
        _value.validate_json(text)


@pytest.mark.parametrize("value", ["NaN", "Infinity", {"NaN": "Infinity"}, "[{" * 100, ["[" * 200], 1e308])
def test_value_that_only_looks_suspicious_is_kept(value: Any) -> None:
    assert _value.validate_python(value) == value


def nested(depth: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(depth - 1):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
def test_json_is_nested_at_most_100_deep(kind: type) -> None:
    assert accepts(JsonValue, nested(MAX_JSON_DEPTH, kind))
    assert not accepts(JsonValue, nested(MAX_JSON_DEPTH + 1, kind))
    assert not accepts(JsonValue, nested(2_000, kind))
    assert accepts(JsonObject, {"a": nested(MAX_JSON_DEPTH - 1, kind)})
    assert not accepts(JsonObject, {"a": nested(MAX_JSON_DEPTH, kind)})


def test_broad_json_is_not_taken_for_deep() -> None:
    assert accepts(JsonValue, [[{}] for _ in range(1_000)])


@pytest.mark.parametrize("value", [["\ud800"], {"\ud800": 1}, {"a": "\udc00"}])
def test_text_that_utf8_cannot_carry_is_refused(value: pydantic.JsonValue) -> None:
    assert not accepts(JsonValue, value)


@given(st.integers() | st.integers(-MAX_INTEGER - 2, -MAX_INTEGER + 2) | st.integers(MAX_INTEGER - 2, MAX_INTEGER + 2))
@settings(deadline=None)
def test_integer_of_a_query_is_exact_and_in_range(number: int) -> None:
    assert accepts(QueryInt, str(number)) is (abs(number) <= MAX_INTEGER)


@pytest.mark.parametrize("text", ["", "-", "+1", "1_000", "2.0", " 1", "1 ", "1e3", "0x1", "\u0661", "--1", "1" * 5000])
def test_other_spellings_of_an_integer_are_refused(text: str) -> None:
    assert not accepts(QueryInt, text)


@pytest.mark.parametrize("text", ["", "True", "FALSE", "1", "0", "yes", "on", " true"])
def test_other_spellings_of_a_boolean_are_refused(text: str) -> None:
    assert not accepts(QueryBool, text)
    assert accepts(QueryBool, "true")
    assert accepts(QueryBool, "false")
