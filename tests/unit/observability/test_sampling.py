"""Where requests enter a trace, and which are recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.observability.sampling import TraceEntrance
from sarvanom.shared.trace_context import HEADER, RequestNotes, TraceContext, parse_traceparent

KEY = bytes(range(32))
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
IDS = st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: text.strip("0"))


def enter(entrance: TraceEntrance, *values: bytes) -> tuple[TraceContext, str | None]:
    """Return the place of a request with these headers, read as those who tell of it read it, and its parent."""
    place, parent = entrance.enter([(HEADER, value) for value in values])
    notes = RequestNotes(place=place)
    is_recorded = notes.recorded is not None
    assert notes.trace is not None
    assert notes.trace.is_sampled == is_recorded
    assert notes.trace is notes.trace
    return notes.trace, parent


@pytest.mark.parametrize(
    ("given_header", "ids"),
    [
        (CALLER, ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)),
        (CALLER[:-1] + "0", ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", False)),
        (CALLER[:-2] + "ff", ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)),
        ("cc" + CALLER[2:] + "-what-the-future-adds", ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)),
        (CALLER + "-more", None),
        ("cc" + CALLER[2:] + "more", None),
        ("ff" + CALLER[2:], None),
        (CALLER.upper(), None),
        (CALLER.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), None),
        (CALLER.replace("b7ad6b7169203331", "0" * 16), None),
        (CALLER[:-1], None),
        ("", None),
    ],
)
def test_a_parent_is_read_as_the_w3c_has_it(given_header: str, ids: tuple[str, str, bool] | None) -> None:
    expected = None if ids is None else TraceContext(*ids)
    assert parse_traceparent(given_header.encode()) == expected
    if expected is not None:
        place, _ = enter(TraceEntrance(0.0, KEY, follows_callers=True), given_header.encode())
        assert (place.trace_id, place.is_sampled) == (expected.trace_id, expected.is_sampled)


@pytest.mark.parametrize(
    "malformed", [b"x" * 53 + b"00", CALLER[:-2].upper().encode() + b"00", b"ff" + b"-" * 51 + b"00"]
)
def test_what_cannot_be_read_begins_a_new_trace(malformed: bytes) -> None:
    for follows in (True, False):
        context, parent = enter(TraceEntrance(0.0, KEY, follows_callers=follows), malformed)
        assert parse_traceparent(context.header()) == context
        assert context.trace_id not in malformed.decode()
        assert parent is None
        assert enter(TraceEntrance(1.0, KEY, follows_callers=follows), malformed)[0].is_sampled


@given(st.binary(max_size=80) | st.binary(min_size=53, max_size=53).map(lambda start: start + b"00"))
def test_whatever_is_sent_is_read_or_ignored(value: bytes) -> None:
    context, _ = enter(TraceEntrance(0.5, KEY, follows_callers=True), value)
    assert parse_traceparent(context.header()) == context


@given(IDS, st.floats(0, 1), st.booleans())
def test_all_who_have_the_key_record_the_same_traces(trace_id: str, ratio: float, is_sampled: bool) -> None:
    header = f"00-{trace_id}-b7ad6b7169203331-0{int(is_sampled)}".encode()
    one, other = (enter(TraceEntrance(ratio, KEY, follows_callers=False), header) for _ in range(2))
    assert (one[0].trace_id, one[1]) == (trace_id, "b7ad6b7169203331")
    assert one[0].is_sampled == other[0].is_sampled
    assert not (ratio == 0 and one[0].is_sampled)
    assert not (ratio == 1 and not one[0].is_sampled)


@pytest.mark.parametrize("digits", ["0", "f", "1"])
def test_a_caller_cannot_choose_an_id_that_is_recorded(digits: str) -> None:
    entrance = TraceEntrance(0.01, KEY, follows_callers=False)
    ids = [f"{number:018x}{digits * 14}" for number in range(1, 10_001)]
    headers = [f"00-{id}-b7ad6b7169203331-01".encode() for id in ids]
    recorded = sum(enter(entrance, header)[0].is_sampled for header in headers)
    assert 50 < recorded < 200
    other = TraceEntrance(0.01, bytes(32), follows_callers=False)
    again = [enter(other, header)[0].is_sampled for header in headers]
    assert again != [enter(entrance, header)[0].is_sampled for header in headers]


def test_a_caller_is_followed_only_where_it_is_trusted() -> None:
    for ratio, follows, recorded in ((0.0, False, False), (0.0, True, True), (1.0, False, True)):
        context, _ = enter(TraceEntrance(ratio, KEY, follows_callers=follows), CALLER.encode())
        assert context.is_sampled is recorded
        assert (context.span_id == "b7ad6b7169203331") is not recorded


def test_two_parents_are_none() -> None:
    context, parent = enter(TraceEntrance(1.0, KEY, follows_callers=True), *[CALLER.encode()] * 2)
    assert context.trace_id not in CALLER
    assert parent is None


def test_about_the_share_of_new_traces_is_recorded() -> None:
    entrance = TraceEntrance(0.25, KEY, follows_callers=False)
    recorded = sum(enter(entrance)[0].is_sampled for _ in range(10_000))
    assert 2_000 < recorded < 3_000
    assert all(enter(TraceEntrance(1.0, KEY, follows_callers=False))[0].is_sampled for _ in range(100))
