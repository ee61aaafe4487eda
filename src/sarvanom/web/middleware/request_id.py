"""The id by which a request is found again: in the answer, in every log line, at the other service."""

import os
import re
from collections.abc import Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.trace_context import RequestNotes, current_notes
from sarvanom.web.sent_answer import sent_answer

NOTES = "sarvanom.notes"
"""Where the scope keeps the request's notes, and in them its id; read that with `request_id`."""

_HEADER = b"x-request-id"
_IDS_PER_BLOCK = 256
_is_well_formed = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch


def request_id(scope: Scope) -> str:
    """Return the id of the request, or "" outside of `RequestIdMiddleware`."""
    notes: RequestNotes | None = scope.get(NOTES)
    return "" if notes is None else notes.request_id


class RequestIdMiddleware:
    """Takes the caller's `X-Request-ID` if it is well formed, else makes one; the answer has it, and the notes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._random_ids = _random_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _given_id(scope) or next(self._random_ids)
        notes = scope[NOTES] = RequestNotes(id)
        current_notes.set(notes)
        sent, send = sent_answer(scope, send)
        sent.added[_HEADER] = id.encode()
        await self._app(scope, receive, send)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER and _is_well_formed(value):
            id: str = value.decode()
            return id
    return None


def _random_ids() -> Iterator[str]:
    """Yield ids of 128 random bits; the kernel is asked for a block of them at a time."""
    while True:
        block = os.urandom(16 * _IDS_PER_BLOCK).hex()
        for start in range(0, len(block), 32):
            yield block[start : start + 32]
