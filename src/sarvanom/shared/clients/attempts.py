"""What is told of a request to one instance: how long it took, what came of it, and where it is in its trace."""

from time import perf_counter
from typing import Final

from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable, UpstreamTimeout
from sarvanom.shared.observations import UpstreamAttempted, tell
from sarvanom.shared.trace_context import HEADER, Span, TraceContext, begin_span, current_notes

_CLASSES: Final = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx")


class Attempt:
    """A request that is sent to an instance; it is given its place in the trace."""

    __slots__ = ("_began", "_instance", "_method", "_span")

    def __init__(self, instance: str, request: Request) -> None:
        self._instance = instance
        self._span: Span | None = None
        notes = current_notes.get()
        if notes is not None:
            notes.instance = instance
            place = notes.trace
            if place is not None:
                if place.is_sampled and (span := begin_span()) is not None:
                    self._span = span
                    place = span.context
                _put_place(request, place)
        self._method = request.method
        self._began = perf_counter()

    def answered(self, status: int) -> None:
        """Tell that an answer has come."""
        self._tell(status, _CLASSES[status // 100])

    def failed(self, error: SarvanOMError) -> None:
        """Tell that none has."""
        self._tell(0, failure_of(error))

    def given_up(self) -> None:
        """Tell that none is waited for any more: who asked went away, or did not bring the body."""
        self._tell(0, "cancelled")

    def _tell(self, status: int, outcome: str) -> None:
        seconds = perf_counter() - self._began
        tell(UpstreamAttempted(self._instance, self._method, status, outcome, seconds, self._span))


def _put_place(request: Request, place: TraceContext) -> None:
    """Put the header last, in place of the one of an attempt before."""
    headers = request.headers
    if headers and headers[-1][0] is HEADER:
        headers.pop()
    headers.append((HEADER, place.header()))


def failure_of(error: SarvanOMError) -> str:
    """Return how an attempt has failed, in a word."""
    if isinstance(error, ServiceUnavailable):
        return "unavailable"
    return "timeout" if isinstance(error, UpstreamTimeout) else "failed"
