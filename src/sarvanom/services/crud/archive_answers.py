"""Calls to the store as a whole carried out over it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from pydantic_core import to_json

from sarvanom.backends.storage.contract import Restored, Store
from sarvanom.security.scopes import write_scope
from sarvanom.services.crud.archive import StoredArchive
from sarvanom.services.crud.authority import Authority, authority_of
from sarvanom.services.crud.streams import LINES_HEADERS, begin
from sarvanom.shared.errors import Forbidden
from sarvanom.web.archive_calls import ArchiveCall, ArchiveOperation
from sarvanom.web.calls import Answer, AnyAnswer, StreamedAnswer
from sarvanom.web.pace import Pace

EXPORT_RATE: Final = 2**16
"""How many bytes a second a reader has to take on average: it holds on to a state of the store, which costs space."""
EXPORT_GRACE: Final = 60.0
"""After how many seconds of waiting for the reader that begins to hold."""
_CONTENT_TYPE: Final = (b"content-type", b"application/json")


class ArchiveAnswers:
    """Answers calls to the archive; the `Perform` of crud."""

    def __init__(self, archive: StoredArchive, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._archive = archive
        self._store = store
        self._clock = clock

    async def __call__(self, call: ArchiveCall) -> AnyAnswer:
        """Carry out a call; raises what the archive raises."""
        if call.operation is ArchiveOperation.EXPORT:
            pace = Pace(EXPORT_RATE, EXPORT_GRACE, self._clock)
            return StreamedAnswer(200, LINES_HEADERS, await begin(self._archive.export()), pace=pace)
        assert call.chunks is not None  # noqa: S101 (a restore is parsed with its body)
        authority = await authority_of(self._store, call.principal)
        summary = await self._archive.restore(call.chunks, partial(_check_grant, authority))
        body = b'{"status":"success","message":"export restored","data":%s,"metadata":{}}'
        headers = [_CONTENT_TYPE, (b"sarvanom-revision", b"%d" % summary.revision)]
        return Answer(200, headers, body % to_json(summary))


def _check_grant(authority: Authority, restored: Restored) -> None:
    """Refuse a line that lets somebody in who may do more than who restores it; raises `Forbidden`."""
    resource = restored.resource
    if not resource.grants:
        return
    if not authority.principal.may(write_scope(resource)):
        raise Forbidden(
            f"Line {restored.line} of the export is {resource.one}: this takes {write_scope(resource)} as well"
        )
    try:
        authority.check(restored.item)
    except Forbidden as error:
        raise Forbidden(f"Line {restored.line} of the export: {error.detail}") from None
