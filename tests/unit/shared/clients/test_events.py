"""Server-sent events, however the stream is cut."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.clients import events
from sarvanom.shared.clients.events import ServerSentEvent, read_events
from sarvanom.shared.errors import UpstreamFailed

STREAM = (
    b'id: 7\n: 9\n\nid: 8\nevent: change\ndata: {"a":1}\n\n: 9\n\n'
    b"id: 10\ndata: a\ndata: b\n\ndata:\n\nid: 11\ndata: half"
)
EVENTS = [
    ServerSentEvent("7", None),
    ServerSentEvent("8", b'{"a":1}'),
    ServerSentEvent("8", None),
    ServerSentEvent("10", b"a\nb"),
    ServerSentEvent("10", b""),
]


async def cut(stream: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(stream), size):
        yield stream[start : start + size]


@given(st.integers(1, len(STREAM)))
async def test_blocks_are_whole_however_they_come(size: int) -> None:
    """What was not finished is left out: a reader asks for it again."""
    assert [event async for event in read_events(cut(STREAM, size))] == EVENTS


async def test_block_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MAX_EVENT_BYTES", 100)
    with pytest.raises(UpstreamFailed):
        [event async for event in read_events(cut(b"data: " + b"x" * 200, 10))]
