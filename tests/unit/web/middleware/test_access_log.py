"""Access lines: what they hold, what they never hold, and when they are not even built."""

import asyncio
import logging
from itertools import count

import pytest
import structlog
from starlette.types import Message, Scope
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from sarvanom.web.middleware.access_log import ROUTE, AccessLogMiddleware
from tests.unit.web.asgi import Raising, Replying, Untouched, ask, http_scope, is_untouched

START: Message = {"type": "http.response.start", "status": 206, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}


@pytest.fixture
def lines() -> LogCapture:
    return LogCapture()


@pytest.fixture
def logger(lines: LogCapture) -> FilteringBoundLogger:
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    bound: FilteringBoundLogger = structlog.wrap_logger(None, processors=[lines], wrapper_class=wrapper).bind()
    return bound


def ticking() -> float:
    return next(TICKS) / 8


TICKS = count()


async def test_a_line_tells_what_was_asked_and_answered(logger: FilteringBoundLogger, lines: LogCapture) -> None:
    app = AccessLogMiddleware(Replying(status=201, body=b"12345"), logger, clock=ticking)
    await ask(app, http_scope("POST", "/users/alice") | {ROUTE: "/users/{user_id}"})
    assert lines.entries == [
        {
            "event": "request",
            "log_level": "info",
            "method": "POST",
            "route": "/users/{user_id}",
            "status": 201,
            "duration_ms": 125.0,
            "bytes": 5,
            "client": "192.0.2.7",
        }
    ]


class FrameworkRoute:
    path = "/things/{id}"


@pytest.mark.parametrize(
    ("more", "route"), [({}, "unmatched"), ({"route": FrameworkRoute()}, "/things/{id}"), ({"route": 1}, "unmatched")]
)
async def test_without_our_route_the_path_is_still_not_told(
    logger: FilteringBoundLogger, lines: LogCapture, more: Scope, route: str
) -> None:
    await ask(AccessLogMiddleware(Replying(), logger), http_scope(path="/things/secret", **more))
    assert lines.entries[0]["route"] == route
    assert "secret" not in str(lines.entries)


async def test_a_client_without_an_address_is_none(logger: FilteringBoundLogger, lines: LogCapture) -> None:
    await ask(AccessLogMiddleware(Replying(), logger), http_scope(client=None))
    assert lines.entries[0]["client"] is None


@pytest.mark.parametrize(
    ("error", "sent", "status", "size"),
    [
        (ValueError("x"), [], 500, 0),
        (ValueError("x"), [START, PART], 206, 4),
        (asyncio.CancelledError(), [], 499, 0),
        (asyncio.CancelledError(), [START, PART, PART], 206, 8),
    ],
)
async def test_an_answer_that_was_broken_off_is_told(
    logger: FilteringBoundLogger, lines: LogCapture, error: BaseException, sent: list[Message], status: int, size: int
) -> None:
    with pytest.raises(type(error)):
        await ask(AccessLogMiddleware(Raising(error, *sent), logger))
    (line,) = lines.entries
    assert (line["status"], line["bytes"], line["aborted"]) == (status, size, True)


async def test_a_request_that_nobody_answered_is_told(logger: FilteringBoundLogger, lines: LogCapture) -> None:
    await ask(AccessLogMiddleware(Untouched(), logger))
    assert (lines.entries[0]["status"], lines.entries[0]["aborted"]) == (499, True)


async def test_messages_of_extensions_count_for_nothing(logger: FilteringBoundLogger, lines: LogCapture) -> None:
    trailers: Message = {"type": "http.response.trailers", "headers": []}
    with pytest.raises(ValueError, match="x"):
        await ask(
            AccessLogMiddleware(Raising(ValueError("x"), START, {"type": "http.response.body"}, trailers), logger)
        )
    assert "aborted" not in lines.entries[0]


async def test_below_the_level_the_request_is_not_even_wrapped(logger: FilteringBoundLogger, lines: LogCapture) -> None:
    app = Untouched()

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await AccessLogMiddleware(app, logger, logging.DEBUG)(http_scope(), receive, send)
    assert app.got[1:] == (receive, send)
    assert lines.entries == []


async def test_other_scopes_pass_untouched(logger: FilteringBoundLogger) -> None:
    app = Untouched()
    assert await is_untouched(AccessLogMiddleware(app, logger), app)
