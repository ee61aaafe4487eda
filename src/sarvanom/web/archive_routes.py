"""The routes of the store as a whole, for gateway and crud alike."""

from typing import Final

from fastapi import FastAPI
from starlette.responses import Response

from sarvanom.security.scopes import STORE_ADMIN
from sarvanom.shared.errors import (
    ContentBlocked,
    Forbidden,
    InternalError,
    MalformedJSON,
    MalformedRequest,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    StoreNotEmpty,
    Unauthorized,
    UnsupportedMediaType,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
from sarvanom.shared.models.bulk_models import RestoreSummary
from sarvanom.shared.models.crud_models import CRUDResponse
from sarvanom.web.archive_calls import ARCHIVE_PARSERS, ArchiveCall, ArchiveOperation
from sarvanom.web.calls import Perform
from sarvanom.web.declared_answers import LINES, problem_answers
from sarvanom.web.endpoints import make_endpoint
from sarvanom.web.request_headers import NDJSON
from sarvanom.web.routing import Declaration, DirectEndpoint, DirectRoute

_ANY: Final = (
    MalformedRequest,
    RateLimited,
    Unauthorized,
    Forbidden,
    ContentBlocked,
    InternalError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
_RESTORE_ERRORS: Final = (MalformedJSON, *_ANY, PayloadTooLarge, StoreNotEmpty, UnsupportedMediaType)
_EXPORT_LINES: Final = {
    **LINES,
    "example": '{"format":"sarvanom-export","version":1,"revision":17,...}\n'
    '{"resource":"users","item":{...}}\n{"end":true,"items":1}\n',
}


class RestoreResponse(CRUDResponse[RestoreSummary]):
    """What was restored."""


def add_archive_routes(app: FastAPI, perform: Perform[ArchiveCall]) -> None:
    """Add the routes of the store as a whole to the app; `perform` carries out their calls."""
    app.router.routes += [_export_route(perform), _restore_route(perform)]


def _export_route(perform: Perform[ArchiveCall]) -> DirectRoute:
    return DirectRoute(
        "/export",
        _endpoint(ArchiveOperation.EXPORT, perform),
        "GET",
        _declare_export,
    )


def _declare_export() -> Declaration:
    declared = {
        "operation_id": "export_everything",
        "name": "export_everything",
        "summary": "Export everything as it is at one revision",
        "description": "A header with the revision, a line for each resource as it is stored, live cache entries "
        "included, and a last line without which the export is truncated.",
        "tags": ["archive"],
        "response_model": None,
        "response_class": Response,
        "responses": {
            200: {"description": "Everything, a JSON object a line", "content": {NDJSON: _EXPORT_LINES}},
            **problem_answers(_ANY),
        },
    }
    return Declaration([], declared)


def _restore_route(perform: Perform[ArchiveCall]) -> DirectRoute:
    return DirectRoute(
        "/import",
        _endpoint(ArchiveOperation.RESTORE, perform),
        "POST",
        _declare_restore,
        reads_lines=True,
    )


def _declare_restore() -> Declaration:
    declared = {
        "operation_id": "restore_everything",
        "name": "restore_everything",
        "summary": "Restore an export of everything into a store that was never used",
        "description": "Ids, times and revisions are kept; history begins at the revision of the export. An export "
        "that is truncated or not valid changes nothing, and the error names the line.",
        "tags": ["archive"],
        "response_model": RestoreResponse,
        "responses": problem_answers(_RESTORE_ERRORS),
        "openapi_extra": {"requestBody": {"content": {NDJSON: _EXPORT_LINES}, "required": True}},
    }
    return Declaration([], declared)


def _endpoint(operation: ArchiveOperation, perform: Perform[ArchiveCall]) -> DirectEndpoint:
    return make_endpoint({STORE_ADMIN}, ARCHIVE_PARSERS[operation], perform, unbound=True)
