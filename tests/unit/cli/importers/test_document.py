"""What is read as JSON, and what is refused."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, quoted, read_json
from tests.unit.cli.importers.strategies import json_values


@settings(deadline=None)
@given(json_values, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_values_keep_their_types_in_every_encoding(value: JsonValue, encoding: str) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json.dumps(read_json(text.encode(encoding)), ensure_ascii=False) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty; JSON is expected"),
        (b" \n", "is empty; JSON is expected"),
        (b"name: x", "is not JSON: Expecting value at line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "is not JSON: Expecting ':' delimiter at line 2"),
        (b'["\xff"]', "is not JSON: byte 2 is not UTF-8 text"),
        (b'[{"a": 1, "b": 2, "a": 3}]', 'holds the key "a" twice in one object'),
        (b'{"a": NaN}', "numbers must be finite, not NaN"),
        (b"-Infinity", "numbers must be finite, not -Infinity"),
        (rb'["\ud800"]', "half of a surrogate pair"),
        (rb'{"\ud800": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, "is nested too deep"),
        (b"1" * 5000, "an integer of more than 4,300 digits"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_text_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        read_json(text)
    assert message in str(caught.value)


def test_quoting_is_short_and_safe_to_print() -> None:
    assert quoted("a\x1b[2J\n") == r'"a\u001b[2J\n"'
    assert len(quoted(["x"] * 1000)) < 100
