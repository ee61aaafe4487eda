"""What a JSON text may not hold although its grammar allows it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.json_bounds import MAX_JSON_KEYS, check_json


@pytest.mark.parametrize(
    ("text", "field", "pointer"),
    [
        ('{"a": 1, "a": 1}', "a", "/a"),
        ('{"a": 1, "\\u0061": 2}', "a", "/a"),
        ('{"b": {"c": [0, {"d": 1, "e": 2, "d": 3}]}}', "b.c.1.d", "/b/c/1/d"),
        ('[{}, {"": 1, "": 2}]', "1.", "/1/"),
        ('{"a/b~c": {"x": 1, "x": 2}}', "a/b~c.x", "/a~1b~0c/x"),
        ('{"a": {"x": 1, "x": 2}, "b": 1, "b": 2}', "b", "/b"),
        ('{"a": [], "a": []}', "a", "/a"),
        ('{"\\ud83d\\ude00": 1, "\U0001f600": 2}', "\U0001f600", "/\U0001f600"),
    ],
)
def test_key_that_stands_twice_is_named(text: str, field: str, pointer: str) -> None:
    with pytest.raises(ValidationFailed) as e:
        check_json(text.encode())
    assert [error.field for error in e.value.errors] == [field]
    assert e.value.detail.endswith(f": {pointer}")


def test_key_that_stands_twice_in_a_long_text_is_told_by_its_position_without_another_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python's parser would take seconds for some of these texts."""
    monkeypatch.delattr(json, "loads")
    for count in (20_000, 2_000_000):
        text = b'{"key": "a",\n "value": [' + b"[0]," * count + b'{"b": 1, "b": 2}]}'
        with pytest.raises(ValidationFailed) as e:
            check_json(text)
        before, _, column = e.value.detail.rpartition(" ")
        assert before == "The body has a key twice in one object, at line 2 column"
        assert int(column) + text.index(b"\n") == pytest.approx(text.index(b'"b": 2'), abs=5)
        assert [error.field for error in e.value.errors] == [""]


def test_a_long_text_is_refused_for_the_key_also_if_it_is_broken_behind_it() -> None:
    with pytest.raises(ValidationFailed, match="line 1 column"):
        check_json(b'{"a": 1, "a": 2, "b": ' + b"[" * 100_000)


def test_keys_are_counted_before_they_are_compared() -> None:
    members = ",".join(f'"{number}":0' for number in range(MAX_JSON_KEYS + 1))
    with pytest.raises(ValidationFailed, match="more than 100000 keys"):
        check_json(f'{{"a":{{{members},"7":1}}}}'.encode())


def test_long_key_is_cut_short() -> None:
    key = "k" * 10_000
    with pytest.raises(ValidationFailed) as e:
        check_json(f'{{"{key}": 1, "{key}": 2}}'.encode())
    assert len(e.value.detail) < 400
    assert len(e.value.errors[0].field) == 256


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": 1, "a": 2',
        '{"a": 1, "a": 2, "b": ' + "[" * 50_000,
        '{"a": 1, "a": 2, "b": ' + "9" * 10_000 + "}",
        '["\\ud800"]',
        "\xff",
    ],
)
def test_what_is_no_json_is_left_to_who_reads_it_next(text: str) -> None:
    check_json(text.encode("latin-1"))


def test_lone_surrogate_behind_a_key_that_stands_twice_does_no_harm() -> None:
    with pytest.raises(ValidationFailed) as e:
        check_json(b'{"x": {"a": 1, "a": 2}, "\\ud800": 1, "\\ud800": 2}')
    assert e.value.errors[0].field.encode()


def test_keys_are_bounded() -> None:
    members = ",".join(f'"{number}":0' for number in range(MAX_JSON_KEYS - 1))
    check_json(f'{{"a":{{{members}}}}}'.encode())
    with pytest.raises(ValidationFailed, match="more than 100000 keys"):
        check_json(f'{{"a":{{{members}}},"b":[[{{"c":1}}]]}}'.encode())


def test_colons_in_text_are_no_keys() -> None:
    check_json(json.dumps({"a": ":" * 600_000, "b": [1, 2]}).encode())


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_a_writer_of_json_makes_passes(value: Any) -> None:
    check_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


@given(st.lists(st.tuples(st.sampled_from("abc"), values), max_size=5))
def test_an_object_passes_if_its_keys_differ(members: list[tuple[str, Any]]) -> None:
    text = "{" + ",".join(f"{json.dumps(name)}: {json.dumps(item)}" for name, item in members) + "}"
    if len({name for name, _ in members}) == len(members):
        check_json(text.encode())
    else:
        with pytest.raises(ValidationFailed):
            check_json(text.encode())
