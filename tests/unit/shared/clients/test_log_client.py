"""The log over HTTP: what is asked, and a watch that resumes by itself."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.log_client import RevisionLogClient
from sarvanom.shared.clients.retries import Backoff
from sarvanom.shared.errors import (
    ResourceNotFound,
    RevisionCompacted,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport, answer

METADATA = {"limit": 100, "next_since": 9, "revision": 12, "oldest_revision": 0}


def stored(revision: int) -> dict[str, Any]:
    return {
        "revision": revision,
        "resource": "models",
        "id": "m",
        "operation": "update",
        "service": "s",
        "actor": None,
        "request_id": "r",
        "time": "2026-01-31T12:00:00.000000Z",
        "previous_revision": 3,
        "reverts": None,
        "after": {"priority": 7},
        "of_a_newer_version": 1,
    }


def frame(revision: int) -> bytes:
    return b"id: %d\nevent: change\ndata: %s\n\n" % (revision, json.dumps(stored(revision)).encode())


def envelope(data: object, metadata: object = None) -> bytes:
    return json.dumps({"status": "success", "message": "Done", "data": data, "metadata": metadata or {}}).encode()


def problem(status: int, code: str, *headers: tuple[bytes, bytes]) -> Outcome:
    said = answer(status, json.dumps({"code": code, "detail": "So it is"}).encode(), *headers)
    said.headers[0] = (b"content-type", b"application/problem+json")
    return said


def log(*outcomes: Outcome) -> tuple[RevisionLogClient, ScriptedTransport]:
    transport = ScriptedTransport(outcomes)
    return RevisionLogClient(ServiceClient(transport), Backoff(initial=0.001, longest=0.001)), transport


async def test_page_is_asked_for_and_read() -> None:
    client, transport = log(answer(200, envelope({"items": [stored(7), stored(9)]}, METADATA)))
    page = await client.changes(5, resource="models", id="a/b", service="s t", limit=2)
    assert transport.requests[0].target == b"/changes?since=5&resource=models&id=a%2Fb&service=s+t&limit=2"
    assert [change.revision for change in page.items] == [7, 9]
    assert page.items[0].after == {"priority": 7}
    assert (page.next_since, page.revision, page.oldest_revision) == (9, 12, 0)


@pytest.mark.parametrize("given", [{"resource": "cache"}, {"id": "a"}, {"since": -1}, {"limit": 0}, {"service": ""}])
async def test_what_the_service_would_refuse_is_not_sent(given: dict[str, Any]) -> None:
    client, transport = log(200)
    with pytest.raises(ValidationFailed):
        await client.changes(**given)
    given.pop("limit", None)
    if given:
        with pytest.raises(ValidationFailed):
            await anext(client.watch(**given))
    for revision in (0, -1, 2**53):
        with pytest.raises(ValidationFailed):
            await client.revert(revision)
    assert transport.requests == []


async def test_revert_posts_under_a_key() -> None:
    client, transport = log(answer(200, envelope(stored(9))))
    assert (await client.revert(7)).revision == 9
    (request,) = transport.requests
    assert (request.method, request.target) == ("POST", b"/revisions/7/revert")
    assert b"idempotency-key" in dict(request.headers)


async def watched(client: RevisionLogClient, count: int, since: int | None = None) -> list[int]:
    """Return the revisions of so many changes."""
    seen: list[int] = []
    async with aclosing(client.watch(since, resource="models")) as changes:
        async for change in changes:
            seen.append(change.revision)
            if len(seen) == count:
                break
    return seen


async def test_watch_resumes_after_the_last_event_however_the_stream_ended() -> None:
    client, transport = log(
        answer(200, b"id: 5\n: 6\n\n" + frame(6) + b"id: 7\nevent: cha"),
        ServiceUnavailable("crud is gone"),
        answer(200, b": 8\n\n" + frame(7) + b"id: 8\n: 8\n\n"),
        problem(503, "service_unavailable"),
        UpstreamFailed("broke off"),
        UpstreamTimeout("silent"),
        answer(200, frame(9)),
    )
    assert await watched(client, 3, since=5) == [6, 7, 9]
    resumed = [dict(request.headers)[b"last-event-id"] for request in transport.requests]
    assert resumed == [b"", b"6", b"6", b"8", b"8", b"8", b"8"]
    assert {request.target for request in transport.requests} == {b"/changes?since=5&resource=models"}
    assert transport.open_streams == 0


async def test_watch_from_now_on_resumes_where_it_began() -> None:
    """Though nothing had come by then."""
    client, transport = log(answer(200, b"id: 12\n: 12\n\n"), answer(200, frame(13)))
    assert await watched(client, 1) == [13]
    assert dict(transport.requests[1].headers)[b"last-event-id"] == b"12"
    assert transport.requests[0].target == b"/changes?resource=models"


async def test_watch_ends_where_the_log_does_not_reach() -> None:
    client, _ = log(answer(200, frame(6)), problem(410, "revision_compacted", (b"sarvanom-oldest-revision", b"40")))
    with pytest.raises(RevisionCompacted) as caught:
        await watched(client, 2, since=5)
    assert caught.value.headers == {"SarvanOM-Oldest-Revision": "40"}


async def test_other_refusals_are_raised() -> None:
    for outcome, error in ((problem(422, "validation_failed"), ValidationFailed), (404, Exception)):
        client, _ = log(outcome)
        with pytest.raises(error):
            await watched(client, 1)


async def test_event_that_is_none_of_the_api_is_not_passed_over() -> None:
    client, _ = log(answer(200, b"id: 6\ndata: {}\n\n"))
    with pytest.raises(UpstreamFailed):
        await watched(client, 1)


async def test_refused_revert_is_raised() -> None:
    client, _ = log(problem(404, "not_found"))
    with pytest.raises(ResourceNotFound):
        await client.revert(7)
