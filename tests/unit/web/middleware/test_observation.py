"""What is told of a request at its end, and when nothing is even looked at."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Scope

from sarvanom.observability.sampling import TraceEntrance
from sarvanom.security.principals import Principal
from sarvanom.shared.observations import RequestServed, RequestsUnderWay, listen
from sarvanom.shared.trace_context import TraceContext, current_notes
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.middleware.observation import ENDLESS, ROUTE, ROUTE_OF, ObservationMiddleware
from sarvanom.web.middleware.request_id import RequestIdMiddleware
from tests.unit.web.asgi import Raising, Replying, Untouched, ask, http_scope, is_untouched

START: Message = {"type": "http.response.start", "status": 206, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
CALLER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def told() -> Iterator[list[RequestServed]]:
    found: list[RequestServed] = []
    end = listen(RequestServed, found.append)
    yield found
    end()


def observing(app: ASGIApp, entrance: TraceEntrance | None = None, **options: Any) -> ASGIApp:
    return RequestIdMiddleware(ObservationMiddleware(app, entrance, **options))


def ticking() -> float:
    return next(TICKS) / 8


TICKS = count()


async def test_what_was_asked_and_answered_is_told(told: list[RequestServed]) -> None:
    scope = http_scope("POST", "/users/alice") | {
        ROUTE: "/users/{user_id}",
        PRINCIPAL: Principal("key:k"),
    }
    scope["headers"] = [(b"x-request-id", b"r1")]
    await ask(observing(Replying(status=201, body=b"12345"), clock=ticking), scope)
    # The clock ticks when the request begins, when its answer does, and at its end.
    [one] = told
    who = ("192.0.2.7", "key:k")
    assert one == RequestServed("POST", "/users/{user_id}", 201, 0.25, 5, False, *who, one.notes, None)
    assert one.notes.request_id == "r1"
    assert (one.notes.instance, one.notes.cache, one.notes.trace) == (None, None, None)


class FrameworkRoute:
    path = "/things/{id}"


@pytest.mark.parametrize(
    ("more", "route"),
    [
        ({}, "unmatched"),
        ({"route": FrameworkRoute()}, "/things/{id}"),
        ({"route": 1}, "unmatched"),
        ({ROUTE_OF: lambda path: "/things/{id}" if path == "/things/secret" else None}, "/things/{id}"),
        ({ROUTE_OF: lambda _: None}, "unmatched"),
    ],
)
async def test_without_our_route_the_path_is_still_not_told(told: list[RequestServed], more: Scope, route: str) -> None:
    await ask(observing(Replying()), http_scope(path="/things/secret", **more))
    assert told[0].route == route
    assert "secret" not in str(told)


async def test_a_client_without_an_address_is_none(told: list[RequestServed]) -> None:
    await ask(observing(Replying()), http_scope(client=None))
    assert told[0].client is None


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
    told: list[RequestServed], error: BaseException, sent: list[Message], status: int, size: int
) -> None:
    under_way = RequestsUnderWay(0)
    with pytest.raises(type(error)):
        await ask(observing(Raising(error, *sent), under_way=under_way))
    assert [(one.status, one.size, one.is_aborted) for one in told] == [(status, size, True)]
    assert under_way.requests == 0


async def test_a_request_that_nobody_answered_is_told(told: list[RequestServed]) -> None:
    await ask(observing(Untouched()))
    assert (told[0].status, told[0].is_aborted) == (499, True)


async def test_messages_of_extensions_count_for_nothing(told: list[RequestServed]) -> None:
    trailers: Message = {"type": "http.response.trailers", "headers": []}
    with pytest.raises(ValueError, match="x"):
        await ask(observing(Raising(ValueError("x"), START, {"type": "http.response.body"}, trailers)))
    assert not told[0].is_aborted


async def test_an_endless_answer_takes_as_long_as_it_takes_to_begin(told: list[RequestServed]) -> None:
    for more in ({}, {ENDLESS: True}):
        await ask(observing(Replying(), clock=ticking), http_scope() | more)
    assert [one.seconds for one in told] == [0.25, 0.125]


async def test_notes_that_are_taken_on_the_way_are_told(told: list[RequestServed]) -> None:
    async def app(scope: Scope, receive: object, send: object) -> None:
        notes = current_notes.get()
        assert notes is not None
        notes.instance, notes.cache = "http://crud", "hit"

    await ask(observing(app))
    assert (told[0].notes.instance, told[0].notes.cache) == ("http://crud", "hit")


async def test_a_request_goes_on_in_its_callers_trace(told: list[RequestServed]) -> None:
    seen: list[TraceContext | None] = []

    async def app(scope: Scope, receive: object, send: object) -> None:
        notes = current_notes.get()
        assert notes is not None
        seen.append(notes.trace)

    entrance = TraceEntrance(0.0, bytes(32), follows_callers=True)
    await ask(observing(app, entrance), http_scope(headers=[(b"traceparent", CALLER)]))
    await ask(observing(app, entrance), http_scope())
    (followed, trace), (fresh, new) = ((one, one.notes.trace) for one in told)
    assert seen == [trace, new]
    assert trace is not None
    assert trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert followed.span is not None
    assert followed.span.parent_id == "b7ad6b7169203331"
    assert followed.span.context == trace
    assert new is not None
    assert not new.is_sampled
    assert fresh.span is None


async def test_if_nobody_listens_the_request_is_not_even_wrapped() -> None:
    app = Untouched()

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await ObservationMiddleware(app)(http_scope(), receive, send)
    assert app.got[1:] == (receive, send)


async def test_other_scopes_pass_untouched(told: list[RequestServed]) -> None:
    app = Untouched()
    assert await is_untouched(ObservationMiddleware(app), app)
    assert told == []
