"""Lines of requests: what they hold, and which are written."""

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson
import pytest
import structlog

from sarvanom.observability.access_lines import AccessLines, write_access_lines
from sarvanom.observability.logs import configure_logs
from sarvanom.shared.observations import RequestServed, tell
from sarvanom.shared.trace_context import RequestNotes, TraceContext

TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", is_sampled=False)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def served(request_id: str = "r1", status: int = 200, *, is_aborted: bool = False) -> RequestServed:
    notes = RequestNotes(request_id, TRACE)
    notes.instance, notes.cache = "http://crud:1", "hit"
    who = ("192.0.2.7", "key:k")
    return RequestServed("GET", "/users/{user_id}", status, 0.0123456, 7, is_aborted, *who, notes, None)


def written(*requests: RequestServed, share: float = 1.0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    lines = AccessLines(lambda make_line: found.append(make_line()), service="gateway", level="info", share=share)
    for request in requests:
        lines.add(request)
    return found


def test_a_line_holds_all_that_there_is() -> None:
    (line,) = written(served())
    assert line.pop("timestamp").tzinfo is not None
    assert line == {
        "level": "info",
        "event": "request",
        "service": "gateway",
        "request_id": "r1",
        "principal": "key:k",
        "method": "GET",
        "route": "/users/{user_id}",
        "status": 200,
        "duration_ms": 12.345,
        "bytes": 7,
        "client": "192.0.2.7",
        "trace_id": TRACE.trace_id,
        "instance": "http://crud:1",
        "cache": "hit",
    }


def test_what_there_is_not_is_left_out() -> None:
    request = RequestServed("GET", "/x", 499, 1.0, 0, True, None, "", RequestNotes("r"), None)
    (line,) = written(request)
    assert not {"trace_id", "instance", "cache"} & set(line)
    assert (line["principal"], line["client"], line["aborted"]) == (None, None, True)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_of_what_went_well_a_share_is_written_the_same_everywhere(share: float) -> None:
    requests = [served(f"request-{number}") for number in range(2000)]
    chosen = [line["request_id"] for line in written(*requests, share=share)]
    assert share * 0.8 < len(chosen) / len(requests) < share * 1.2
    assert chosen == [line["request_id"] for line in written(*requests, share=share)]


def test_what_failed_is_always_written() -> None:
    requests = [served("a", 500), served("b", is_aborted=True), served("c"), served("d", 404)]
    assert [line["request_id"] for line in written(*requests, share=0.0)] == ["a", "b"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_failed_is_written_whatever_the_share(share: float) -> None:
    stream = BytesIO()
    write = configure_logs("info", "json", stream, service="gateway")
    end = write_access_lines(write, service="gateway", share=share)
    tell(served("a", 503))
    end()
    tell(served("b", 503))
    assert [orjson.loads(line)["request_id"] for line in stream.getvalue().splitlines()] == ["a"]


@pytest.mark.parametrize(("service", "level"), [("gateway", "warning"), ("crud", "info")])
def test_below_their_level_requests_are_not_even_listened_to(service: str, level: str) -> None:
    write = configure_logs(level, "json", BytesIO(), service=service)
    write_access_lines(write, service=service, share=1.0)
    assert RequestServed.listeners == ()
