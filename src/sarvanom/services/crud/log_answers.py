"""Calls to the revision log carried out over the store."""

from dataclasses import replace
from typing import Final

from pydantic_core import to_json

from sarvanom.security.scopes import read_scope
from sarvanom.services.crud.feed import Feed
from sarvanom.services.crud.history import History
from sarvanom.services.crud.idempotency import CallsInProgress, Origins
from sarvanom.services.crud.rendering import render_change, seen_by
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.tenancy import tenancy_of
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.resources import RESOURCES
from sarvanom.web.calls import Answer, AnyAnswer, Headers, StreamedAnswer
from sarvanom.web.log_calls import LogCall, LogOperation
from sarvanom.web.request_headers import EVENT_STREAM

_LOGGED: Final = tuple(resource for resource in RESOURCES if resource.is_logged)
_CONTENT_TYPE: Final = (b"content-type", b"application/json")
_VARY: Final = (b"vary", b"accept")
_STREAM_HEADERS: Final[Headers] = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    _VARY,
]


class LogAnswers:
    """Answers calls to the log; the `Perform` of crud."""

    def __init__(self, store: SealedStore, feed: Feed, in_progress: CallsInProgress) -> None:
        self._log = store.log
        self._feed = feed
        self._history = History(store)
        self._origins = Origins(store.keyring)
        self._in_progress = in_progress
        self._perform = {
            LogOperation.CHANGES: self._changes,
            LogOperation.WATCH: self._watch,
            LogOperation.REVERT: self._revert,
        }

    async def __call__(self, call: LogCall) -> AnyAnswer:
        """Carry out a call; raises what the log raises."""
        with self._in_progress.entered(call):
            return await self._perform[call.operation](call)

    async def _changes(self, call: LogCall) -> AnyAnswer:
        query = _visible(call)
        page = await self._log.page(query)
        metadata = {
            "limit": query.limit,
            "next_since": page.until,
            "revision": page.bounds.head,
            "oldest_revision": page.bounds.floor,
        }
        items = b",".join(render_change(seen_by(change, query.services)) for change in page.changes)
        body = b'{"status":"success","message":"changes listed","data":{"items":[%s]},"metadata":%s}'
        return Answer(200, [_CONTENT_TYPE, _VARY], body % (items, to_json(metadata)))

    async def _watch(self, call: LogCall) -> AnyAnswer:
        query = _visible(call)
        position = await self._feed.begin(query)
        return StreamedAnswer(200, _STREAM_HEADERS, self._feed.watch(query, position), is_endless=True)

    async def _revert(self, call: LogCall) -> AnyAnswer:
        change, is_replay = await self._history.revert(call.revision, self._origins.of_call(call), call.principal)
        headers: Headers = [_CONTENT_TYPE, (b"sarvanom-revision", b"%d" % change.revision)]
        if is_replay:
            headers.append((b"idempotency-replayed", b"true"))
        body = b'{"status":"success","message":"revision reverted","data":%s,"metadata":{}}'
        return Answer(200, headers, body % render_change(change))


def _visible(call: LogCall) -> ChangeQuery:
    """Return what is asked for of the log, as far as the caller may read it."""
    query = tenancy_of(call.principal).narrow_changes(call.query)
    hidden = {resource.collection for resource in _LOGGED if not call.principal.may(read_scope(resource))}
    if not hidden:
        return query
    return replace(query, collections=frozenset(resource.collection for resource in _LOGGED) - hidden)
