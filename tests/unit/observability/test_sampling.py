"""Where requests enter a trace, and which are recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.observability.sampling import TraceEntrance
from sarvanom.shared.trace_context import HEADER, parse_traceparent

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
IDS = st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: text.strip("0"))


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
    assert parse_traceparent(given_header.encode()) == ids


@given(st.binary(max_size=80))
def test_whatever_is_sent_is_read_or_ignored(value: bytes) -> None:
    context, _ = TraceEntrance(0.5, follows_callers=True).enter([(HEADER, value)])
    assert parse_traceparent(context.header()) == context


@given(IDS, st.floats(0, 1), st.booleans())
def test_the_share_is_taken_by_the_last_56_bits(trace_id: str, ratio: float, is_sampled: bool) -> None:
    header = f"00-{trace_id}-b7ad6b7169203331-0{int(is_sampled)}".encode()
    context, parent = TraceEntrance(ratio, follows_callers=False).enter([(HEADER, header)])
    assert context.trace_id == trace_id
    assert parent == "b7ad6b7169203331"
    assert context.is_sampled == (int(trace_id[-14:], 16) < round(ratio * 2**56))


def test_a_caller_is_followed_only_where_it_is_trusted() -> None:
    for ratio, follows, recorded in ((0.0, False, False), (0.0, True, True), (1.0, False, True)):
        context, _ = TraceEntrance(ratio, follows_callers=follows).enter([(HEADER, CALLER.encode())])
        assert context.is_sampled is recorded
        assert (context.span_id == "b7ad6b7169203331") is not recorded


def test_two_parents_are_none() -> None:
    context, parent = TraceEntrance(1.0, follows_callers=True).enter([(HEADER, CALLER.encode())] * 2)
    assert context.trace_id not in CALLER
    assert parent is None


def test_about_the_share_of_new_traces_is_recorded() -> None:
    entrance = TraceEntrance(0.25, follows_callers=False)
    recorded = sum(entrance.enter([])[0].is_sampled for _ in range(10_000))
    assert 2_000 < recorded < 3_000
    assert all(TraceEntrance(1.0, follows_callers=False).enter([])[0].is_sampled for _ in range(100))
