"""Every request is told of once, at its end: to logs, metrics and traces."""

import time
from collections.abc import Callable
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.observability.sampling import TraceEntrance
from sarvanom.security.principals import Principal
from sarvanom.shared.observations import RequestServed, RequestsUnderWay, tell
from sarvanom.shared.trace_context import RequestNotes, Span
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.middleware.request_id import NOTES
from sarvanom.web.sent_answer import sent_answer

ROUTE: Final = "sarvanom.route"
"""Where the scope keeps the path template that matched, such as `/users/{user_id}`."""

ENDLESS: Final = "sarvanom.endless"
"""Set in the scope of an answer that goes on until somebody ends it."""

ROUTE_OF: Final = "sarvanom.route_of"
"""Where the scope keeps a function that finds the template of a path, for requests that were refused before."""

UNMATCHED: Final = "unmatched"
_CLIENT_CLOSED_REQUEST: Final = 499


class ObservationMiddleware:
    """Tells of each request: what was asked by its route's template, never by its path, and how it was answered.

    An answer that was not finished is `aborted`; its status is 499 if it had not even begun. With an `entrance` each
    request gets its place in a trace, in the notes that `RequestIdMiddleware` has begun. `under_way` is kept up to
    date. If nobody listens, requests pass untouched.
    """

    def __init__(
        self,
        app: ASGIApp,
        entrance: TraceEntrance | None = None,
        under_way: RequestsUnderWay | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._clock = clock
        self._under_way = under_way or RequestsUnderWay(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (RequestServed.listeners or self._entrance):
            await self._app(scope, receive, send)
            return
        clock = self._clock
        began = clock()
        place = parent_id = span = None
        if self._entrance is not None:
            place, parent_id = self._entrance.enter(scope["headers"])
        notes: RequestNotes = scope[NOTES]
        notes.place = place
        if (here := notes.recorded) is not None:
            span = Span(here, parent_id, time.time_ns())
        sent, send = sent_answer(scope, send)
        sent.clock = clock
        failed = 0
        self._under_way.requests += 1
        try:
            await self._app(scope, receive, send)
        except Exception:
            # The server answers this way for an application that raised before it answered.
            failed = 500
            raise
        finally:
            self._under_way.requests -= 1
            end = sent.began_at if ENDLESS in scope and sent.began_at is not None else clock()
            client = scope["client"]
            principal: Principal | None = scope.get(PRINCIPAL)
            tell(
                RequestServed(
                    scope["method"],
                    scope.get(ROUTE) or _find_route(scope),
                    sent.status or failed or _CLIENT_CLOSED_REQUEST,
                    end - began,
                    sent.size,
                    not sent.is_complete,
                    client[0] if client else None,
                    "" if principal is None else principal.subject,
                    notes,
                    span,
                )
            )


def _find_route(scope: Scope) -> str:
    """Return the template of a request that was refused before it was routed, or that the framework has routed."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    route_of: Callable[[str], str | None] | None = scope.get(ROUTE_OF)
    return (route_of(scope["path"]) if route_of is not None else None) or UNMATCHED
