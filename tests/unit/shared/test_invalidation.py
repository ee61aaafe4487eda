"""Which cache entries an invalidation removes, and that none is removed by accident."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.invalidation import build_invalidation, parse_invalidation
from sarvanom.shared.queries import Operator


def texts(query_string: bytes) -> dict[tuple[str, Operator], object]:
    return {(found.column.name, found.operator): found.value for found in parse_invalidation(query_string)}


TAG, SERVICE = ("tags", Operator.CONTAINS), ("service", Operator.EQUALS)


@pytest.mark.parametrize(
    ("query_string", "conditions"),
    [
        (b"tag=gpt", {TAG: ["gpt"]}),
        (b"service=chat", {SERVICE: "chat"}),
        (b"service=chat&tag=a%2Cb", {TAG: ["a,b"], SERVICE: "chat"}),
        (b"tag=%F0%9F%98%80+x", {TAG: ["\U0001f600 x"]}),
    ],
)
def test_all_that_is_given_must_hold(query_string: bytes, conditions: dict[tuple[str, Operator], object]) -> None:
    assert texts(query_string) == conditions


@pytest.mark.parametrize(
    ("query_string", "field"),
    [
        (b"", "tag"),
        (b"tag=", "tag"),
        (b"service=", "service"),
        (b"tag=a%00", "tag"),
        (b"tag=a&tag=bc", "tag"),
        (b"tags__contains=a", "tags__contains"),
        (b"tag=a&all=true", "all"),
        (b"tag=%ff", ""),
    ],
)
def test_nothing_is_removed_without_a_clear_wish(query_string: bytes, field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_invalidation(query_string)
    assert [error.field for error in caught.value.errors] == [field]


NAMES = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]),
    min_size=1,
    max_size=255,
)


@given(NAMES, NAMES)
@settings(deadline=None)
def test_conditions_have_the_values_as_they_were_given(tag: str | None, service: str | None) -> None:
    expected: list[object] = [*([service] if service is not None else []), *([[tag]] if tag is not None else [])]
    if not expected:
        with pytest.raises(ValidationFailed):
            build_invalidation(tag=tag, service=service)
    else:
        assert [condition.value for condition in build_invalidation(tag=tag, service=service)] == expected


@pytest.mark.parametrize(
    ("given", "field"), [({"tag": ""}, "tag"), ({"service": "a\n"}, "service"), ({"tag": "\ud800"}, "tag")]
)
def test_caller_in_process_is_held_to_the_same_rules(given: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        build_invalidation(**{"tag": None, "service": None, **given})
    assert [error.field for error in caught.value.errors] == [field]
