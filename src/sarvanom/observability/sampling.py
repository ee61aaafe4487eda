"""Where requests enter a trace, and which traces are recorded."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sarvanom.shared.trace_context import (
    HEADER,
    Span,
    TraceContext,
    new_span_id,
    new_trace_id,
    parse_traceparent,
)

_RANDOM_BITS: Final = 56


class Entered(NamedTuple):
    """Where a request is in its trace, and what it is part of, if a caller has said."""

    context: TraceContext
    parent_id: str | None

    def span(self, began: int) -> Span | None:
        """Return the span of the request, which began in ns since 1970; None if it is not recorded."""
        return Span(self.context, self.parent_id, began) if self.context.is_sampled else None


class TraceEntrance:
    """Gives each request its place: in its caller's trace, or in a new one.

    The share of traces that are recorded is taken by their ids, of which the last 56 bits are random (W3C Trace Context
    Level 2), so that all who take it so record the same traces. Whether a caller records its own is believed only with
    `follows_callers`: strangers would have us record everything.
    """

    def __init__(self, ratio: float, *, follows_callers: bool) -> None:
        self._bound = round(ratio * 2**_RANDOM_BITS)
        self._follows_callers = follows_callers

    def enter(self, headers: Iterable[tuple[bytes, bytes]]) -> Entered:
        """Return the place of a request; a `traceparent` that is malformed, or comes twice, is ignored."""
        caller: TraceContext | None = None
        count = 0
        for name, value in headers:
            if name == HEADER:
                caller = parse_traceparent(value)
                count += 1
        if caller is None or count > 1:
            trace_id = new_trace_id()
            return Entered(TraceContext(trace_id, new_span_id(), self._is_chosen(trace_id)), None)
        is_sampled = caller.is_sampled if self._follows_callers else self._is_chosen(caller.trace_id)
        return Entered(TraceContext(caller.trace_id, new_span_id(), is_sampled), caller.span_id)

    def _is_chosen(self, trace_id: str) -> bool:
        return bool(int(trace_id[-_RANDOM_BITS // 4 :], 16) < self._bound)
