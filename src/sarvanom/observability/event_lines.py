"""Lines for what happens beside requests: what listens to observations and writes them down."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final, Literal, NamedTuple

import structlog

from sarvanom.shared.observations import (
    ConnectionsTurnedAway,
    ContentFound,
    ErrorUnforeseen,
    Observation,
    RequestRefused,
    listen,
)

_log = structlog.get_logger()


class _Line(NamedTuple):
    kind: type[Observation]
    level: Literal["info", "warning", "error"]
    event: str


_LINES: Final = (
    _Line(ConnectionsTurnedAway, "warning", "connections turned away"),
    _Line(ContentFound, "warning", "content inspected"),
    _Line(ErrorUnforeseen, "error", "unhandled exception"),
    _Line(RequestRefused, "info", "request refused"),
)


def write_event_lines() -> Callable[[], None]:
    """Write lines from now on, each with the fields of its observation; return what ends it."""
    ends = [listen(line.kind, _writer(line)) for line in _LINES]

    def end() -> None:
        for one in ends:
            one()

    return end


def _writer(line: _Line) -> Callable[[Observation], None]:
    # An exception is written with its traceback, which structlog takes from this name.
    names = [(field.name, "exc_info" if field.name == "error" else field.name) for field in fields(line.kind)]  # type: ignore[arg-type]

    def write(observation: Any) -> None:
        getattr(_log, line.level)(line.event, **{name: getattr(observation, field) for field, name in names})

    return write
