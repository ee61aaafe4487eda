"""Ranges that stand for prefixes, and the texts of list statements."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sarvanom.backends.storage.listing import _successor, count_statement, delete_statement, page_statement
from sarvanom.backends.storage.sqlite.database import DIALECT
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, MODELS

LAST = "\U0010ffff"
EDGES = "a\x00\x7f\ud7ff\ue000\uffff\U00010000" + LAST
TEXTS = st.text(max_size=4) | st.text(EDGES, max_size=4)


@given(TEXTS, TEXTS)
@example("\ud7ff", "\ue000")
@example("a" + LAST, "b")
@example("", LAST * 4)
@settings(deadline=None, max_examples=500)
def test_range_of_a_prefix_holds_exactly_the_texts_that_start_with_it(prefix: str, text: str) -> None:
    for candidate in (text, prefix + text, prefix[:-1] + text):
        assert (prefix <= candidate < _successor(prefix)) is candidate.startswith(prefix)


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_order_of_code_points_is_that_of_utf8(one: str, other: str) -> None:
    """What SQLite compares are bytes; the range above is one of code points."""
    assert (one < other) is (one.encode() < other.encode())
    assert _successor(one).encode()


@pytest.mark.parametrize("prefix", ["", LAST, LAST * 1024], ids=len)
def test_longest_text_of_the_last_character_is_in_the_range_too(prefix: str) -> None:
    """The longest text that can be stored has 4096 characters, the longest prefix 1024."""
    is_inside = prefix <= LAST * 4096 < _successor(prefix)
    assert is_inside


def test_statements_of_one_shape_share_one_text() -> None:
    one = page_statement(DATASETS, parse_query(DATASETS, b"size__gte=1&limit=3"), DIALECT, 7)
    other = page_statement(DATASETS, parse_query(DATASETS, b"size__gte=2&limit=9&skip=4"), DIALECT, 8)
    assert one.sql.text is other.sql.text
    assert one.values == {"value_0_0": 1, "limit": 4, "skip": 0, "now": 7}
    assert other.values == {"value_0_0": 2, "limit": 10, "skip": 4, "now": 8}


def test_values_stand_in_no_text() -> None:
    filters = b"provider=needle&provider__prefix=needle&provider__in=needle,needle2&limit=77"
    statement = page_statement(MODELS, parse_query(MODELS, filters), DIALECT, 1)
    assert "needle" not in statement.sql.text
    assert "77" not in statement.sql.text
    assert list(statement.values.values()).count("needle") == 3


def test_statements_of_a_collection_that_never_expires_do_not_ask_the_time() -> None:
    for resource, asks in ((CACHE, True), (DATASETS, False)):
        query = parse_query(resource, b"service=a")
        statements = (
            page_statement(resource, query, DIALECT, 1),
            count_statement(resource, query, DIALECT, 1),
            delete_statement(resource, query.conditions, DIALECT, 1),
        )
        assert [":now" in statement.sql.text for statement in statements] == [asks] * 3


def test_count_knows_no_page() -> None:
    query = parse_query(DATASETS, b"size__gte=1&limit=3&skip=2&sort=-size")
    statement = count_statement(DATASETS, query, DIALECT, 7)
    assert "ORDER BY" not in statement.sql.text
    assert statement.values == {"value_0_0": 1, "now": 7}


def test_page_after_another_binds_its_last_values() -> None:
    first = parse_query(DATASETS, b"sort=size")
    query = parse_query(DATASETS, f"sort=size&cursor={first.cursor([-1, '2026', 'a'])}".encode())
    statement = page_statement(DATASETS, query, DIALECT, 7)
    assert [statement.values[f"after_{index}"] for index in range(3)] == [-1, "2026", "a"]
    assert "(coalesce(datasets.size, -1), datasets.created_at, datasets.dataset_id) >" in statement.sql.text
    assert "coalesce(datasets.size, -1) >= " in statement.sql.text
