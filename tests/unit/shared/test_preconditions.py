"""Preconditions: when a write may go on, and when a reader has what it asks for."""

import pytest

from sarvanom.shared.errors import PreconditionFailed
from sarvanom.shared.preconditions import ANY, NO_PRECONDITIONS, Preconditions

SEVEN = frozenset({'"7"'})
OTHERS = frozenset({'"6"', '"8"', '"77"', '""', '"*"', "7"})


@pytest.mark.parametrize(
    ("preconditions", "revision"),
    [
        (NO_PRECONDITIONS, None),
        (NO_PRECONDITIONS, 7),
        (Preconditions(if_match=SEVEN), 7),
        (Preconditions(if_match=SEVEN | OTHERS), 7),
        (Preconditions(if_match=ANY), 7),
        (Preconditions(if_none_match=OTHERS), 7),
        (Preconditions(if_none_match=SEVEN), None),
        (Preconditions(if_none_match=ANY), None),
        (Preconditions(if_none_match=frozenset()), 7),
        (Preconditions(if_match=SEVEN, if_none_match=OTHERS), 7),
    ],
)
def test_write_goes_on_where_preconditions_hold(preconditions: Preconditions, revision: int | None) -> None:
    preconditions.check(revision)


@pytest.mark.parametrize(
    ("preconditions", "revision", "message"),
    [
        (Preconditions(if_match=SEVEN), 8, "If-Match does not hold: the resource is at revision 8"),
        (Preconditions(if_match=SEVEN), None, "If-Match does not hold: the resource does not exist"),
        (Preconditions(if_match=ANY), None, "If-Match does not hold: the resource does not exist"),
        (Preconditions(if_match=frozenset()), 7, "If-Match does not hold: the resource is at revision 7"),
        (Preconditions(if_none_match=SEVEN), 7, "If-None-Match does not hold: the resource is at revision 7"),
        (Preconditions(if_none_match=ANY), 7, "If-None-Match does not hold: the resource is at revision 7"),
        (Preconditions(if_match=OTHERS, if_none_match=ANY), 7, "If-Match does not hold"),
        (Preconditions(if_match=SEVEN, if_none_match=SEVEN), 7, "If-None-Match does not hold"),
    ],
)
def test_write_is_refused_where_one_does_not(preconditions: Preconditions, revision: int | None, message: str) -> None:
    with pytest.raises(PreconditionFailed, match=message):
        preconditions.check(revision)


def test_reader_is_held_to_if_match_alone() -> None:
    Preconditions(if_match=SEVEN, if_none_match=SEVEN).check_read(7)
    with pytest.raises(PreconditionFailed, match="If-Match does not hold"):
        Preconditions(if_match=SEVEN).check_read(8)


@pytest.mark.parametrize(
    ("preconditions", "unchanged"),
    [
        (NO_PRECONDITIONS, False),
        (Preconditions(if_match=SEVEN), False),
        (Preconditions(if_none_match=SEVEN), True),
        (Preconditions(if_none_match=OTHERS), False),
        (Preconditions(if_none_match=ANY), True),
    ],
)
def test_reader_is_up_to_date_only_if_it_names_the_revision(preconditions: Preconditions, *, unchanged: bool) -> None:
    assert preconditions.is_unchanged(7) is unchanged


@pytest.mark.parametrize(
    ("preconditions", "creates"),
    [
        (NO_PRECONDITIONS, False),
        (Preconditions(if_none_match=SEVEN), False),
        (Preconditions(if_match=ANY), False),
        (Preconditions(if_none_match=ANY), True),
    ],
)
def test_only_if_none_match_any_creates(preconditions: Preconditions, *, creates: bool) -> None:
    assert preconditions.creates is creates


def test_star_in_quotes_is_a_tag_like_any_other() -> None:
    quoted = Preconditions(if_match=frozenset({'"*"'}), if_none_match=frozenset({'"*"'}))
    assert not quoted.creates
    assert not quoted.is_unchanged(7)
    with pytest.raises(PreconditionFailed):
        quoted.check(7)


def test_callers_of_a_contract_name_revisions() -> None:
    assert Preconditions.of_write() == NO_PRECONDITIONS
    assert Preconditions.of_write(if_match=7) == Preconditions(if_match=SEVEN)
    assert Preconditions.of_write(create=True) == Preconditions(if_none_match=ANY)
