"""Where requests enter a trace, and which traces are recorded."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from sarvanom.shared.trace_context import (
    HEADER,
    TraceContext,
    is_unrecorded,
    new_span_id,
    new_trace,
    parse_traceparent,
)

SAMPLING: Final = "trace sampling"
"""What the key is derived for."""
_RANDOM_DIGITS: Final = 14


type Entered = tuple[TraceContext | bytes, str | None]
"""Where a request is in its trace, as `RequestNotes` take it, and what it is part of, if a caller has said."""


class TraceEntrance:
    """Gives each request its place: in its caller's trace, or in a new one.

    The share of traces that are recorded is taken by their ids, so that all gateways record the same ones. An id that
    a caller gives is hashed with a `key` first, and whether it records its own is believed only with
    `follows_callers`: strangers would have us record everything. What is not recorded has no place of its own: its
    caller's is handed on.
    """

    def __init__(self, ratio: float, key: bytes, *, follows_callers: bool) -> None:
        self._key = key
        # Hexadecimal digits, as many, are in the order of the numbers; `g` is above all of them.
        bound = round(ratio * 16**_RANDOM_DIGITS)
        self._bound = f"{bound:0{_RANDOM_DIGITS}x}" if bound < 16**_RANDOM_DIGITS else "g"
        self._follows_callers = follows_callers

    def enter(self, headers: Iterable[tuple[bytes, bytes]]) -> Entered:
        """Return the place of a request; a `traceparent` that is malformed, or comes twice, is ignored."""
        given: bytes | None = None
        for header in headers:
            if header[0] == HEADER:
                given = header[1] if given is None else b""
        if given is not None:
            if self._follows_callers and is_unrecorded(given):
                return given, None
            caller = parse_traceparent(given)
            if caller is not None:
                return self._go_on(caller)
        place = new_trace(is_sampled=False)
        place.is_sampled = place.trace_id[-_RANDOM_DIGITS:] < self._bound
        return place, None

    def _go_on(self, caller: TraceContext) -> Entered:
        is_sampled = caller.is_sampled if self._follows_callers else self._is_chosen(caller.trace_id)
        if not is_sampled:
            return TraceContext(caller.trace_id, caller.span_id, is_sampled=False), caller.span_id
        return TraceContext(caller.trace_id, new_span_id(), is_sampled=True), caller.span_id

    def _is_chosen(self, trace_id: str) -> bool:
        digest = blake2b(trace_id.encode(), digest_size=_RANDOM_DIGITS // 2, key=self._key)
        return digest.hexdigest() < self._bound
