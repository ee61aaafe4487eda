"""Lines for what happens beside requests."""

from collections.abc import Iterator
from io import BytesIO

import orjson
import pytest
import structlog
from structlog.testing import capture_logs

from sarvanom.observability.event_lines import write_event_lines
from sarvanom.observability.logs import configure_logs
from sarvanom.shared.observations import (
    ConnectionsTurnedAway,
    ContentFound,
    ErrorUnforeseen,
    Observation,
    RequestRefused,
    tell,
)


@pytest.fixture
def _written() -> Iterator[None]:
    end = write_event_lines()
    yield
    end()
    structlog.reset_defaults()


@pytest.mark.usefixtures("_written")
@pytest.mark.parametrize(
    ("told", "level", "line"),
    [
        (ConnectionsTurnedAway(3, 4), "warning", {"event": "connections turned away", "count": 3, "open": 4}),
        (
            ContentFound("sqli", ("union.x",), "/username", "strict", "block", "ab", 12),
            "warning",
            {
                "event": "content inspected",
                "family": "sqli",
                "rules": ("union.x",),
                "pointer": "/username",
                "profile": "strict",
                "action": "block",
                "sha256": "ab",
                "length": 12,
            },
        ),
        (
            RequestRefused("request_timeout", 408, "It came too slowly", "r"),
            "info",
            {
                "event": "request refused",
                "code": "request_timeout",
                "status": 408,
                "reason": "It came too slowly",
                "request_id": "r",
            },
        ),
    ],
)
def test_a_line_has_the_fields_of_what_was_told(told: Observation, level: str, line: dict[str, object]) -> None:
    with capture_logs() as lines:
        tell(told)
    assert lines == [{**line, "log_level": level}]


@pytest.mark.usefixtures("_written")
def test_an_error_is_one_line_with_its_traceback() -> None:
    stream = BytesIO()
    configure_logs("info", "json", stream, service="crud")
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        tell(ErrorUnforeseen(error, "a request"))
    (line,) = [orjson.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["level"], line["event"], line["work"]) == ("error", "unhandled exception", "a request")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_nobody_is_heard_after_the_end() -> None:
    write_event_lines()()
    with capture_logs() as lines:
        tell(ConnectionsTurnedAway(3, 4))
    assert lines == []
