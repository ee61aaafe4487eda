"""One line for every request."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import structlog

from sarvanom.shared.observations import RequestServed, listen

_UNFIT_STATUS: Final = 500
_HASHES: Final = 2**32

type MakeLine = Callable[[], dict[str, Any]]
"""Returns a line that has everything in it."""

type WriteLine = Callable[[MakeLine], object]
"""Writes a line soon, and has it made then."""


class AccessLines:
    """Writes method, route, status, time, size, and who asked; no path, which may hold what is nobody's business.

    An answer that was not finished is marked `aborted`; its status is 499 if it had not even begun. Of the requests
    that went well a share is written, chosen by their ids, so that both services choose the same.
    """

    def __init__(self, write: WriteLine, *, service: str, level: str, share: float) -> None:
        self._write = write
        self._service = service
        self._level = level
        self._bound = round(share * _HASHES)

    def add(self, request: RequestServed) -> None:
        """Write the line of a request, if it is chosen."""
        if self._bound == _HASHES or self._is_chosen(request):
            self._write(partial(self._line, request, time.time()))

    def _line(self, request: RequestServed, at: float) -> dict[str, Any]:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(at, UTC),
            "level": self._level,
            "event": "request",
            "service": self._service,
            "request_id": request.notes.request_id,
            "principal": request.principal or None,
            "method": request.method,
            "route": request.route,
            "status": request.status,
            "duration_ms": int(request.seconds * 1_000_000) / 1000,
            "bytes": request.size,
            "client": request.client,
        }
        notes = request.notes
        if (trace := notes.trace) is not None:
            line["trace_id"] = trace.trace_id
        if notes.instance is not None:
            line["instance"] = notes.instance
        if notes.cache is not None:
            line["cache"] = notes.cache
        if request.is_aborted:
            line["aborted"] = True
        return line

    def _is_chosen(self, request: RequestServed) -> bool:
        if request.status >= _UNFIT_STATUS or request.is_aborted:
            return True
        digest = blake2b(request.notes.request_id.encode(), digest_size=4).digest()
        return int.from_bytes(digest) < self._bound


def write_access_lines(write: WriteLine, *, service: str, share: float) -> Callable[[], None]:
    """Write lines from now on, if their level is logged: info for the gateway, debug for crud; return what ends it."""
    level = "info" if service == "gateway" else "debug"
    if not structlog.get_logger().is_enabled_for(logging.getLevelNamesMapping()[level.upper()]):
        return lambda: None
    lines = AccessLines(write, service=service, level=level, share=share)
    return listen(RequestServed, lines.add)
