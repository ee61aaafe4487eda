"""Which trace the running task belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

import os
import re
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple

HEADER: Final = b"traceparent"
_TRACES_PER_BLOCK: Final = 128
_ID_DIGITS: Final = 16
_is_traceparent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").match
_VERSION_0_LENGTH: Final = 55


@dataclass(slots=True)
class TraceContext:
    """A place in a trace: ids in lower-case hexadecimal, and whether what happens there is recorded."""

    trace_id: str
    span_id: str
    is_sampled: bool

    def header(self) -> bytes:
        """Return the value of `traceparent` by which another service goes on here."""
        return f"00-{self.trace_id}-{self.span_id}-0{1 if self.is_sampled else 0}".encode()


class Span(NamedTuple):
    """Something that is recorded: its place, what it is part of, if anything, and when it began, in ns since 1970."""

    context: TraceContext
    parent_id: str | None
    began: int


class RequestNotes:
    """What is learned of a request on its way, for whoever tells of it at its end.

    Its `place` in a trace may be a `traceparent` that says it is not recorded; that is read if somebody asks for it.
    """

    __slots__ = ("cache", "instance", "place", "request_id")

    def __init__(self, request_id: str = "", place: TraceContext | bytes | None = None) -> None:
        self.request_id = request_id
        self.place = place
        self.instance: str | None = None
        self.cache: str | None = None

    @property
    def trace(self) -> TraceContext | None:
        """Its place in a trace, if there are traces."""
        place = self.place
        if isinstance(place, bytes):
            place = self.place = parse_traceparent(place)
        return place

    @property
    def recorded(self) -> TraceContext | None:
        """Its place in a trace, if what happens to the request is recorded."""
        place = self.place
        return place if isinstance(place, TraceContext) and place.is_sampled else None


current_notes: ContextVar[RequestNotes | None] = ContextVar("sarvanom_notes", default=None)
"""Notes about the request that the running task serves."""


def parse_traceparent(value: bytes) -> TraceContext | None:
    """Return what a `traceparent` says, or None if it is malformed and so to be ignored."""
    if _is_traceparent(value) is None:
        return None
    if len(value) != _VERSION_0_LENGTH and (value[:2] == b"00" or value[55:56] != b"-"):
        return None
    text = value.decode("latin-1")
    return TraceContext(text[3:35], text[36:52], text[54] in "13579bdf")


def is_unrecorded(value: bytes) -> bool:
    """Tell whether a `traceparent` can be read and says that nothing is recorded, and nothing else."""
    return value[53:] == b"00" and _is_traceparent(value) is not None


def begin_span() -> Span | None:
    """Begin a part of what the running task does; None if that is not recorded."""
    notes = current_notes.get()
    if notes is None or (here := notes.recorded) is None:
        return None
    return span_within(here)


def span_within(place: TraceContext) -> Span:
    """Begin a part of what happens at a place that is recorded."""
    return Span(TraceContext(place.trace_id, new_span_id(), is_sampled=True), place.span_id, time.time_ns())


def new_trace(*, is_sampled: bool) -> TraceContext:
    """Return the place at which a new trace begins; its ids are random."""
    trace_id = next(_trace_ids)
    return TraceContext(trace_id, trace_id[:_ID_DIGITS], is_sampled)


def new_span_id() -> str:
    """Return the random id of a new span."""
    return next(_trace_ids)[:_ID_DIGITS]


def _random_ids() -> Iterator[str]:
    """Yield 128 random bits at a time, of which neither half is zero; the kernel is asked for a block of them."""
    while True:
        block = os.urandom(16 * _TRACES_PER_BLOCK).hex()
        if _ZERO not in block:
            for start in range(0, len(block), 32):
                yield block[start : start + 32]


_ZERO: Final = "0" * _ID_DIGITS
_trace_ids: Final = _random_ids()
