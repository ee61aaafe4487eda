"""Sealed values in stored bytes: found exactly, and by nothing that a caller can send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from sarvanom.security.sealed_text import MARKER, MEMBER, is_sealed, key_ids, mask, names_key, refuse_planted
from sarvanom.shared.errors import ValidationFailed
from tests.harness.secrets import keyring

RING = keyring()
SEALED = {MEMBER: RING.seal(b'"hush"', b"context")}
LOOKALIKES = st.sampled_from(
    ["$sealed", '{"$sealed":"', json.dumps(SEALED), SEALED[MEMBER], '"$sealed":', "\\", '"', '\\"$sealed\\":']
)
TEXTS = st.text(max_size=5) | LOOKALIKES
NAMES = TEXTS.filter(lambda name: name != MEMBER)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_nothing_that_a_caller_may_send_is_taken_for_sealed(value: Any) -> None:
    text = to_json(value)
    refuse_planted(text)
    assert MARKER not in text
    assert mask(text) is text
    assert key_ids(text) == []


@given(VALUES, VALUES)
def test_a_sealed_value_among_others_is_masked_and_they_are_not(before: Any, after: Any) -> None:
    text = to_json({"a": before, "secret": SEALED, "b": after, "c": [SEALED]})
    assert json.loads(mask(text)) == json.loads(
        to_json({"a": before, "secret": "********", "b": after, "c": ["********"]})
    )
    assert key_ids(text) == [RING.ids[0]] * 2
    assert names_key(RING.ids[0]) in text


@given(VALUES)
def test_a_planted_member_is_refused_wherever_it_stands(value: Any) -> None:
    for planted in ({MEMBER: value}, {"a": [{MEMBER: value, "b": 1}]}, {"b": 1, MEMBER: value}):
        with pytest.raises(ValidationFailed):
            refuse_planted(to_json(planted))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SEALED, True),
        ({**SEALED, "more": 1}, False),
        ({MEMBER: 1}, False),
        ({"other": "x"}, False),
        ("********", False),
        ([SEALED], False),
        (None, False),
    ],
)
def test_a_sealed_value_is_one_member_and_a_text(value: object, expected: bool) -> None:
    assert is_sealed(value) is expected


def test_a_later_version_is_masked_too() -> None:
    assert mask(b'{"a":{"$sealed":"v2.0123456789abcdef.AA"}}') == b'{"a":"********"}'
