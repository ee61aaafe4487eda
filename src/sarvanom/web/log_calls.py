"""From a request to a call to the revision log."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from starlette.types import Receive, Scope

from sarvanom.shared.change_queries import parse_changes, parse_watch
from sarvanom.shared.changes import ChangeQuery, check_revision
from sarvanom.shared.errors import InvalidHeader, RouteNotFound
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.web.calls import Call
from sarvanom.web.middleware.request_id import request_id
from sarvanom.web.request_headers import EVENT_STREAM, idempotency_key, prefers
from sarvanom.web.resource_calls import refuse_parameters

_LAST_EVENT_ID: Final = b"last-event-id"


class LogOperation(StrEnum):
    """What can be asked of the log."""

    CHANGES = "changes"
    WATCH = "watch"
    REVERT = "revert"


@dataclass(slots=True, kw_only=True)
class LogCall(Call):
    """A call to the log: `query` for changes and a watch, `revision` for a revert."""

    operation: LogOperation
    query: ChangeQuery = field(default_factory=ChangeQuery)
    revision: int = 0


type ParseLogCall = Callable[[Scope, Receive], Awaitable[LogCall]]


async def _parse_changes(scope: Scope, _: Receive) -> LogCall:
    if prefers(scope, EVENT_STREAM):
        return _parse_watch(scope)
    query_string: bytes = scope["query_string"]
    return LogCall(
        operation=LogOperation.CHANGES,
        method="GET",
        target=b"/changes?" + query_string if query_string else b"/changes",
        request_id=request_id(scope),
        query=parse_changes(query_string),
    )


def _parse_watch(scope: Scope) -> LogCall:
    query = parse_watch(scope["query_string"])
    last = _last_event_id(scope)
    if last is not None:
        query = replace(query, since=last)
    (service,) = query.services or (None,)
    named = {"since": query.since, "resource": query.collection, "id": query.id, "service": service}
    given = urlencode({name: value for name, value in named.items() if value is not None})
    return LogCall(
        operation=LogOperation.WATCH,
        method="GET",
        target=f"/changes?{given}".encode() if given else b"/changes",
        request_id=request_id(scope),
        headers=[(b"accept", EVENT_STREAM.encode())],
        query=query,
        is_streamed=True,
        is_endless=True,
    )


def _last_event_id(scope: Scope) -> int | None:
    """Return the revision after which a reader resumes; an empty header is none (HTML, 9.2.3)."""
    given = [value.strip(b" \t") for name, value in scope["headers"] if name == _LAST_EVENT_ID]
    if not given or given == [b""]:
        return None
    if len(given) > 1 or not given[0].isdigit() or len(given[0]) > 16 or int(given[0]) > MAX_INTEGER:
        raise InvalidHeader("Last-Event-ID must be the id of an event of this stream: a revision")
    return int(given[0])


async def _parse_revert(scope: Scope, _: Receive) -> LogCall:
    refuse_parameters(scope)
    text, slash, action = scope["path_params"]["revision"].partition("/")
    if not slash or action != "revert":
        raise RouteNotFound("There is nothing at this path; to undo a revision, POST to /revisions/{revision}/revert")
    revision = check_revision(int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0)
    return LogCall(
        operation=LogOperation.REVERT,
        method="POST",
        target=f"/revisions/{revision}/revert".encode(),
        request_id=request_id(scope),
        idempotency_key=idempotency_key(scope),
        revision=revision,
    )


LOG_PARSERS: Final[Mapping[LogOperation, ParseLogCall]] = {
    LogOperation.CHANGES: _parse_changes,
    LogOperation.REVERT: _parse_revert,
}
