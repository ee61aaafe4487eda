"""The forms of a value."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inspection.pathological import pathological_texts
from sarvanom.security.inspection.normalising import normalise


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("7/**/or/**/7=7", b"7 or 7=7"),
        ("un/* ... */ion", b"un ion"),
        ("7/*!50000union*/select", b"7 union select"),
        ("7/*!union/*!12345select*/7", b"7 union select 7"),
        ("7 or 7=7/*", b"7 or 7=7/*"),
        ("7%2f%2a*/or", b"7 or"),
        ("/*/ or /*/", b" "),
        ("a*/b", b"a*/b"),
        ("7--\nor#x\n7=7", b"7 or 7=7"),
        ("7%23abcd%0aor", b"7 or"),
        ("# a heading\ntext", b"# a heading\ttext"),
    ],
)
def test_comments_are_space(text: str, bare: bytes) -> None:
    assert normalise(text).bare == bare


def test_what_does_not_change_is_one_object() -> None:
    folded, decoded, bare = normalise("' or 7=7")
    assert folded is decoded is bare


@given(st.text(st.characters(exclude_categories=())) | st.text(st.sampled_from("/*!%2a\\u{}&#;x <'")))
def test_nothing_fails_and_nothing_grows_beyond_a_bound(text: str) -> None:
    forms = normalise(text)
    assert all(len(form) <= 18 * len(text) for form in forms)


def count_operations(act: Callable[[], object]) -> int:
    """Return how many functions were called, those of C included: what a step costs beyond that is linear by itself."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", pathological_texts())
def test_four_times_the_text_is_four_times_the_work(name: str) -> None:
    text = pathological_texts()[name]
    short, long = text[:4096], text[:16384]
    normalise(long)
    few = count_operations(lambda: normalise(short))
    many = count_operations(lambda: normalise(long))
    assert many <= 5 * few + 100
