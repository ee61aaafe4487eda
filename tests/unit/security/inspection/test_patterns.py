"""The pattern file, and the automata made of it."""

import tomllib
from importlib.resources import files
from typing import Any

import pytest
import re2

from sarvanom.security.inspection.patterns import Group, PatternSet, load_patterns
from sarvanom.security.inspection.verdicts import Family
from sarvanom.shared.models.profiles import Profile

PACKAGE = "sarvanom.security.inspection"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return tomllib.loads((files(PACKAGE) / "patterns.toml").read_text())


def test_every_group_has_a_family_a_trigger_and_patterns(data: dict[str, Any]) -> None:
    for name, group in data["groups"].items():
        assert set(group) <= {"family", "trigger", "free", "strict"}, name
        assert group["family"] in set(Family)
        assert group["trigger"]
        assert group.get("free") or group.get("strict"), name


def test_every_fragment_is_used(data: dict[str, Any]) -> None:
    text = (files(PACKAGE) / "patterns.toml").read_text()
    assert [name for name in data["fragments"] if f"(?&{name})" not in text] == []


def test_no_expression_counts(data: dict[str, Any]) -> None:
    """A repetition with bounds multiplies the states of an automaton, and with them what a hostile value costs."""
    expressions = [
        expression
        for group in data["groups"].values()
        for profile in ("free", "strict")
        for expression in group.get(profile, {}).values()
    ]
    counted = {int(bound) for each in expressions for bound in re2.findall(r"\{([0-9]+)\}", each)}
    assert all(bound <= 4 for bound in counted)
    assert not any(re2.search(r"\{[0-9]*,[0-9]*\}", each) for each in expressions)


def test_a_strict_value_is_searched_for_what_is_searched_for_in_a_free_one() -> None:
    strict, free = load_patterns(Profile.STRICT), load_patterns(Profile.FREE)
    text = b"7' union select null, secret from staff--"
    found, found_strictly = free.search(text), strict.search(text)
    assert found is not None
    assert found_strictly is not None
    assert set(found[1]) <= set(found_strictly[1])


def test_a_group_is_passed_over_unless_its_trigger_is_there() -> None:
    group = Group(Family.SQL_INJECTION, "<", {"g.x": "x"})
    patterns = PatternSet([group])
    assert patterns.search(b"x") is None
    assert patterns.search(b"<x") == (Family.SQL_INJECTION, ("g.x",))


def test_the_first_group_that_is_found_decides() -> None:
    first = Group(Family.SQL_INJECTION, "x", {"first.y": "y"})
    second = Group(Family.CROSS_SITE_SCRIPTING, "x", {"second.x": "x", "second.z": "z"})
    patterns = PatternSet([first, second])
    assert patterns.search(b"xy") == (Family.SQL_INJECTION, ("first.y",))
    assert patterns.search(b"xz") == (Family.CROSS_SITE_SCRIPTING, ("second.x", "second.z"))
    assert patterns.search(b"a") is None


def test_an_expression_that_needs_backtracking_is_refused() -> None:
    with pytest.raises(re2.error):
        PatternSet([Group(Family.SQL_INJECTION, "x", {"g.x": r"(a)\1"})])
