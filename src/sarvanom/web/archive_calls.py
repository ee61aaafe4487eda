"""From a request to a call for the store as a whole."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.types import Receive, Scope

from sarvanom.shared.contracts.archive_contract import RESTORE_SECONDS
from sarvanom.web.bodies import body_chunks
from sarvanom.web.calls import Call
from sarvanom.web.middleware.request_id import request_id
from sarvanom.web.request_headers import NDJSON, check_media_type
from sarvanom.web.resource_calls import refuse_parameters


class ArchiveOperation(StrEnum):
    """What can be asked of the store as a whole."""

    EXPORT = "export"
    RESTORE = "restore"


@dataclass(slots=True, kw_only=True)
class ArchiveCall(Call):
    """A call to the store as a whole."""

    operation: ArchiveOperation


type ParseArchiveCall = Callable[[Scope, Receive], Awaitable[ArchiveCall]]


async def _parse_export(scope: Scope, _: Receive) -> ArchiveCall:
    refuse_parameters(scope)
    return ArchiveCall(
        operation=ArchiveOperation.EXPORT,
        method="GET",
        target=b"/export",
        request_id=request_id(scope),
        is_streamed=True,
    )


async def _parse_restore(scope: Scope, receive: Receive) -> ArchiveCall:
    refuse_parameters(scope)
    check_media_type(scope, (NDJSON,))
    return ArchiveCall(
        operation=ArchiveOperation.RESTORE,
        method="POST",
        target=b"/import",
        request_id=request_id(scope),
        headers=[(b"content-type", NDJSON.encode())],
        chunks=body_chunks(receive),
        is_streamed=True,
        patience=RESTORE_SECONDS,
    )


ARCHIVE_PARSERS: Final[Mapping[ArchiveOperation, ParseArchiveCall]] = {
    ArchiveOperation.EXPORT: _parse_export,
    ArchiveOperation.RESTORE: _parse_restore,
}
