"""Metrics of requests: written for each one, and so by hand."""

import time
from typing import Any, Final

from sarvanom.observability.cells import Counted, Counter, Distribution, Exemplar, Family, Histogram, Number
from sarvanom.shared.observations import RequestServed

_LABELS: Final = ("route", "method", "status_class")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Counts requests by route, method and class of status."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "sarvanom_http_request_duration_seconds", "From the head of a request to the end of its answer", _LABELS
        )
        self._bytes = Counter("sarvanom_http_response_body_bytes", "Bytes of the bodies of answers", _LABELS)
        self._aborted = Counter("sarvanom_http_requests_aborted", "Answers that were not sent to their end")
        self._broken_off = self._aborted.cell()
        self._cells: dict[tuple[str, str, int], tuple[Distribution, Number]] = {}
        requests = Counted("sarvanom_http_requests", "Requests answered or broken off", self._seconds)
        self.families: tuple[Family[Any], ...] = (requests, self._seconds, self._bytes, self._aborted)

    def count(self, request: RequestServed) -> None:
        """Count a request."""
        key = (request.route, request.method, request.status // 100)
        seconds, size = self._cells.get(key) or self._add(key)
        bucket = seconds.add(request.seconds)
        size.value += request.size
        if request.is_aborted:
            self._broken_off.value += 1
        if request.span is not None:
            seconds.exemplars[bucket] = Exemplar(request.span.context.trace_id, request.seconds, time.time())

    def _add(self, key: tuple[str, str, int]) -> tuple[Distribution, Number]:
        route, method, status_class = key
        labels = (route, method if method in _METHODS else "other", f"{status_class}xx")
        cells = self._seconds.cell(*labels), self._bytes.cell(*labels)
        if method in _METHODS:  # there is no end of other methods, so they are not remembered
            self._cells[key] = cells
        return cells
