"""Calls to the store as a whole carried out over it."""

import time
from collections.abc import Callable
from typing import Final

from pydantic_core import to_json

from sarvanom.services.crud.archive import StoredArchive
from sarvanom.services.crud.streams import LINES_HEADERS, begin
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

    def __init__(self, archive: StoredArchive, clock: Callable[[], float] = time.monotonic) -> None:
        self._archive = archive
        self._clock = clock

    async def __call__(self, call: ArchiveCall) -> AnyAnswer:
        """Carry out a call; raises what the archive raises."""
        if call.operation is ArchiveOperation.EXPORT:
            pace = Pace(EXPORT_RATE, EXPORT_GRACE, self._clock)
            return StreamedAnswer(200, LINES_HEADERS, await begin(self._archive.export()), pace=pace)
        assert call.chunks is not None  # noqa: S101 (a restore is parsed with its body)
        summary = await self._archive.restore(call.chunks)
        body = b'{"status":"success","message":"export restored","data":%s,"metadata":{}}'
        headers = [_CONTENT_TYPE, (b"sarvanom-revision", b"%d" % summary.revision)]
        return Answer(200, headers, body % to_json(summary))
