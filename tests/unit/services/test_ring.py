"""The ring: dense, bounded by count and bytes, and read by position."""

import pytest

from sarvanom.services.crud.rendering import render_frame
from sarvanom.services.crud.ring import Ring
from sarvanom.shared.changes import ChangeQuery
from tests.unit.services.played_log import change

EVERYTHING = ChangeQuery()


def ids(frames: list[bytes]) -> list[int]:
    """Return the revisions that frames tell of."""
    return [int(frame.split(b"\n")[0].removeprefix(b"id: ")) for frame in frames]


def filled(first: int, last: int, **bounds: int) -> Ring:
    ring = Ring(**bounds)
    ring.restart(first - 1)
    ring.extend([change(number) for number in range(first, last + 1)], last)
    return ring


def test_position_tells_what_comes_next() -> None:
    ring = filled(11, 20)
    assert (ring.begin, ring.end) == (10, 20)
    for position in range(10, 21):
        frames, after = ring.read(EVERYTHING, position)
        assert (ids(frames), after) == (list(range(position + 1, 21)), 20)
    assert ring.read(EVERYTHING, 25) == ([], 25)


@pytest.mark.parametrize("bounds", [{"max_changes": 3}, {"max_bytes": 3 * len(render_frame(change(18)))}])
def test_oldest_changes_go_when_it_is_full(bounds: dict[str, int]) -> None:
    ring = filled(11, 20, **bounds)
    assert (ring.begin, ring.end) == (17, 20)
    assert ids(ring.read(EVERYTHING, 17)[0]) == [18, 19, 20]


def test_change_that_is_too_large_is_left_to_the_log() -> None:
    ring = filled(1, 3, max_bytes=10)
    assert (ring.begin, ring.end, ring.read(EVERYTHING, 3)) == (3, 3, ([], 3))


def test_restart_forgets() -> None:
    ring = filled(1, 5)
    ring.restart(9)
    ring.extend([change(10)], 10)
    assert (ring.begin, ring.end, ids(ring.read(EVERYTHING, 9)[0])) == (9, 10, [10])


def test_filters_pass_over_what_does_not_match_and_move_on() -> None:
    ring = Ring()
    ring.extend([change(1), change(2, collection="users"), change(3, id="m1"), change(4, service="t")], 4)
    assert ids(ring.read(ChangeQuery(collection="users"), 0)[0]) == [2]
    assert ids(ring.read(ChangeQuery(collection="models", id="m1"), 0)[0]) == [1, 3]
    assert ids(ring.read(ChangeQuery(services=frozenset({"t"})), 0)[0]) == [4]
    assert ring.read(ChangeQuery(services=frozenset({"nobody"})), 0) == ([], 4)


def test_one_that_moves_is_told_to_both_services_and_to_nobody_else() -> None:
    ring = Ring()
    ring.extend([change(1, kind="update", previous=0, service="new", left_service="old")], 1)
    (arrival,) = ring.read(ChangeQuery(services=frozenset({"new"})), 0)[0]
    (departure,) = ring.read(ChangeQuery(services=frozenset({"old"})), 0)[0]
    (whole,) = ring.read(EVERYTHING, 0)[0]
    assert ring.read(ChangeQuery(services=frozenset({"third"})), 0)[0] == []
    assert b'"operation":"create","service":"new"' in arrival
    assert b'"previous_revision":null' in arrival
    assert b'"operation":"delete","service":"old"' in departure
    assert departure.endswith(b'"after":null}\n\n')
    assert b'"operation":"update","service":"new"' in whole
    assert whole.endswith(b'"after":{"a":1}}\n\n')


def test_reader_takes_no_more_than_it_can_hold() -> None:
    ring = Ring(max_bytes=2**24)
    ring.extend([change(number, body=b'"%s"' % (b"x" * 2**17)) for number in range(1, 11)], 10)
    position, seen = 0, list[int]()
    while position < 10:
        frames, position = ring.read(EVERYTHING, position)
        assert len(frames) <= 2
        seen += ids(frames)
    assert seen == list(range(1, 11))


def test_position_behind_the_last_change_is_the_end_though_no_change_is_there() -> None:
    ring = Ring()
    ring.extend([change(1), change(2)], 7)
    assert [ring.read(query, 0)[1] for query in (EVERYTHING, ChangeQuery(services=frozenset({"nobody"})))] == [7, 7]
    assert ring.read(EVERYTHING, 2) == ring.read(EVERYTHING, 7) == ([], 7)


def test_ring_begins_anew_behind_a_gap_since_positions_would_no_longer_tell_places() -> None:
    ring = Ring()
    ring.extend([change(1), change(2)], 7)
    ring.extend([change(8), change(9)], 9)
    assert (ring.begin, ring.end, ids(ring.read(EVERYTHING, 7)[0])) == (7, 9, [8, 9])
    ring.extend([change(12)], 12)
    assert (ring.begin, ring.end, ids(ring.read(EVERYTHING, 11)[0])) == (11, 12, [12])


def test_what_does_not_match_is_passed_over_in_steps() -> None:
    ring = filled(1, 1_200)
    nothing, position = ChangeQuery(services=frozenset({"nobody"})), 0
    steps = list[int]()
    while position < ring.end:
        frames, position = ring.read(nothing, position)
        assert frames == []
        steps.append(position)
    assert steps == [500, 1_000, 1_200]
