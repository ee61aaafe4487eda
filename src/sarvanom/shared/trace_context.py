"""Which trace the running task belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

import os
import re
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final, NamedTuple

HEADER: Final = b"traceparent"
_IDS_PER_BLOCK: Final = 512
_SAMPLED: Final = 1
_is_traceparent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})").match
_VERSION_0_LENGTH: Final = 55


class TraceContext(NamedTuple):
    """A place in a trace: ids in lower-case hexadecimal, and whether what happens there is recorded."""

    trace_id: str
    span_id: str
    is_sampled: bool

    def header(self) -> bytes:
        """Return the value of `traceparent` by which another service goes on here."""
        return b"00-%b-%b-%b" % (self.trace_id.encode(), self.span_id.encode(), b"01" if self.is_sampled else b"00")


class Span(NamedTuple):
    """Something that is recorded: its place, what it is part of, if anything, and when it began, in ns since 1970."""

    context: TraceContext
    parent_id: str | None
    began: int


current_trace: ContextVar[TraceContext | None] = ContextVar("sarvanom_trace", default=None)
"""Where the running task is; None if there are no traces."""


def parse_traceparent(value: bytes) -> TraceContext | None:
    """Return what a `traceparent` says, or None if it is malformed and so to be ignored."""
    found = _is_traceparent(value)
    if found is None or (len(value) != _VERSION_0_LENGTH and (value[:2] == b"00" or value[55:56] != b"-")):
        return None
    trace_id, span_id, flags = found.groups()
    return TraceContext(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED))


def begin_span() -> Span | None:
    """Begin a part of what the running task does; None if that is not recorded."""
    here = current_trace.get()
    if here is None or not here.is_sampled:
        return None
    return Span(TraceContext(here.trace_id, new_span_id(), is_sampled=True), here.span_id, time.time_ns())


def new_trace_id() -> str:
    """Return the random id of a new trace."""
    return next(_ids) + next(_ids)


def new_span_id() -> str:
    """Return the random id of a new span."""
    return next(_ids)


def _random_ids() -> Iterator[str]:
    """Yield 64 random bits at a time, none of them zero; the kernel is asked for a block of them."""
    while True:
        block = os.urandom(8 * _IDS_PER_BLOCK).hex()
        for start in range(0, len(block), 16):
            id = block[start : start + 16]
            if id.strip("0"):
                yield id


_ids: Final = _random_ids()
