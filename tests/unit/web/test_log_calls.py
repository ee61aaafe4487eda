"""From requests to calls to the log: pages, watches and reverts."""

from collections.abc import Sequence

import pytest
from starlette.types import Message

from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import InvalidHeader, RouteNotFound, ValidationFailed
from sarvanom.shared.trace_context import RequestNotes
from sarvanom.web.log_calls import LOG_PARSERS, LogCall, LogOperation
from sarvanom.web.middleware.request_id import NOTES
from tests.unit.web.asgi import http_scope

AS_EVENTS = (b"accept", b"text/event-stream")


async def receive() -> Message:
    raise AssertionError


async def changes(query: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = ()) -> LogCall:
    scope = http_scope(headers=headers, query_string=query)
    scope[NOTES] = RequestNotes("r-1")
    return await LOG_PARSERS[LogOperation.CHANGES](scope, receive)


async def revert(rest: str, headers: Sequence[tuple[bytes, bytes]] = (), query: bytes = b"") -> LogCall:
    scope = http_scope("POST", headers=headers, query_string=query)
    scope[NOTES] = RequestNotes("r-1")
    scope["path_params"] = {"revision": rest}
    return await LOG_PARSERS[LogOperation.REVERT](scope, receive)


async def test_page_has_the_query_and_hands_it_on_as_it_came() -> None:
    call = await changes(b"since=7&resource=models&id=a%2Fb&service=s&limit=3")
    assert (call.operation, call.method, call.request_id) == (LogOperation.CHANGES, "GET", "r-1")
    assert call.target == b"/changes?since=7&resource=models&id=a%2Fb&service=s&limit=3"
    assert call.query == ChangeQuery(7, "models", "a/b", frozenset({"s"}), 3)
    assert not call.is_streamed


async def test_page_of_everything_has_no_query() -> None:
    call = await changes()
    assert (call.target, call.query) == (b"/changes", ChangeQuery())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"since=-1", "since"),
        (b"since=1.0", "since"),
        (b"since=9007199254740992", "since"),
        (b"resource=cache", "resource"),
        (b"resource=nothing", "resource"),
        (b"id=a", "id"),
        (b"resource=users&id=a%20b", "id"),
        (b"service=", "service"),
        (b"limit=0", "limit"),
        (b"limit=1001", "limit"),
        (b"since=1&since=2", "since"),
        (b"colour=red", "colour"),
    ],
)
async def test_query_that_is_not_right_is_refused(query: bytes, field: str) -> None:
    for headers in ([], [AS_EVENTS]):
        with pytest.raises(ValidationFailed) as caught:
            await changes(query, headers)
        assert [error.field.split(".")[0] for error in caught.value.errors] == [field]


async def test_watch_is_handed_on_as_a_stream_without_end() -> None:
    call = await changes(b"resource=models&id=a%2Fb&service=s+t&since=7", [AS_EVENTS])
    assert (call.operation, call.is_streamed, call.is_endless) == (LogOperation.WATCH, True, True)
    assert call.target == b"/changes?since=7&resource=models&id=a%2Fb&service=s+t"
    assert call.headers == [AS_EVENTS]
    assert (await changes(b"", [AS_EVENTS])).target == b"/changes"


@pytest.mark.parametrize(
    ("accept", "is_watch"),
    [
        (b"text/event-stream", True),
        (b"application/json;q=0.9, Text/Event-Stream ; q=0.5", False),
        (b"text/event-stream;q=0", False),
        (b"text/event-stream;q=0.000", False),
        (b"*/*", False),
        (b"text/*", False),
        (b"application/json", False),
        (b"", False),
    ],
)
async def test_only_who_names_events_gets_them(accept: bytes, is_watch: bool) -> None:
    call = await changes(b"", [(b"accept", accept)])
    assert (call.operation is LogOperation.WATCH) is is_watch


async def test_last_event_wins_over_since() -> None:
    call = await changes(b"since=7", [AS_EVENTS, (b"last-event-id", b" 12 ")])
    assert (call.query.since, call.target) == (12, b"/changes?since=12")
    for absent in ([], [(b"last-event-id", b"")]):
        assert (await changes(b"since=7", [AS_EVENTS, *absent])).query.since == 7


async def test_last_event_means_nothing_to_a_page() -> None:
    assert (await changes(b"since=7", [(b"last-event-id", b"x")])).query.since == 7


@pytest.mark.parametrize(
    "given", [[b"x"], [b"-1"], [b"1.5"], [b"\xb2"], [b"9" * 17], [b"9007199254740992"], [b"1", b"2"]]
)
async def test_last_event_that_is_none_is_refused(given: list[bytes]) -> None:
    with pytest.raises(InvalidHeader):
        await changes(b"", [AS_EVENTS, *((b"last-event-id", value) for value in given)])


async def test_watch_takes_no_limit() -> None:
    with pytest.raises(ValidationFailed) as caught:
        await changes(b"limit=100", [AS_EVENTS])
    assert [error.field for error in caught.value.errors] == ["limit"]


async def test_revert_has_the_revision_and_the_key() -> None:
    call = await revert("0017/revert", [(b"idempotency-key", b'"k"')])
    assert (call.operation, call.method, call.target) == (LogOperation.REVERT, "POST", b"/revisions/17/revert")
    assert (call.revision, call.idempotency_key) == (17, "k")


@pytest.mark.parametrize("text", ["0", "-1", "latest", "1.0", "", "9007199254740992", "9" * 400, "\u0663", " 1"])
async def test_revert_of_what_is_no_revision_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await revert(f"{text}/revert")
    assert [error.field for error in caught.value.errors] == ["revision"]


@pytest.mark.parametrize("rest", ["17", "17/", "17/undo", "17/revert/", "17/revert/x"])
async def test_there_is_nothing_else_below_a_revision(rest: str) -> None:
    with pytest.raises(RouteNotFound):
        await revert(rest)


async def test_revert_takes_no_parameters() -> None:
    with pytest.raises(ValidationFailed):
        await revert("17/revert", query=b"force=true")
