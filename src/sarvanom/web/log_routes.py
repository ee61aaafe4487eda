"""The routes of the revision log, for gateway and crud alike."""

import inspect
from inspect import Parameter
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Path, Query
from pydantic import create_model

from sarvanom.security.scopes import LOG_READING, LOG_WRITING
from sarvanom.shared.change_queries import ChangeParams
from sarvanom.shared.errors import (
    ContentBlocked,
    Forbidden,
    IdempotencyKeyReused,
    InternalError,
    InvalidHeader,
    MalformedRequest,
    RateLimited,
    RequestInProgress,
    ResourceNotFound,
    RevertConflict,
    RevisionCompacted,
    ServiceUnavailable,
    Unauthorized,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
from sarvanom.shared.models.crud_models import CRUDResponse
from sarvanom.shared.models.fields import Count
from sarvanom.shared.models.log_models import Change, ChangeListResponse
from sarvanom.web.calls import Perform
from sarvanom.web.declared_answers import REVISION_HEADERS, problem_answers
from sarvanom.web.endpoints import make_endpoint
from sarvanom.web.log_calls import LOG_PARSERS, LogCall, LogOperation
from sarvanom.web.request_headers import EVENT_STREAM
from sarvanom.web.resource_routes import IDEMPOTENCY_KEY_PARAMETER
from sarvanom.web.routing import Declaration, DirectEndpoint, DirectRoute

_ANY: Final = (
    MalformedRequest,
    RateLimited,
    ContentBlocked,
    Unauthorized,
    Forbidden,
    InternalError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    InvalidHeader,
)
_CHANGES_ERRORS: Final = (*_ANY, RevisionCompacted, ValidationFailed)
_REVERT_ERRORS: Final = (
    *_ANY,
    ResourceNotFound,
    RevertConflict,
    RequestInProgress,
    RevisionCompacted,
    ValidationFailed,
    IdempotencyKeyReused,
)
_EVENTS: Final = {
    "schema": {"type": "string", "maxLength": 2**31 - 1},
    "example": 'id: 17\nevent: change\ndata: {"revision":17, ...}\n\n',
}
_LAST_EVENT_ID: Final[Any] = Annotated[
    str, Header(description="For a watch: resume after this event; it goes before `since`. A page passes it over.")
]


def add_log_routes(app: FastAPI, perform: Perform[LogCall]) -> None:
    """Add the routes of the log to the app; `perform` carries out their calls."""
    app.router.routes += [_changes_route(perform), _revert_route(perform)]


def _changes_route(perform: Perform[LogCall]) -> DirectRoute:
    return DirectRoute("/changes", _endpoint(LogOperation.CHANGES, perform), "GET", _declare_changes)


def _declare_changes() -> Declaration:
    responses = problem_answers(_CHANGES_ERRORS)
    responses[200] = {
        "description": "Changes in the order of their revisions, or a stream of them",
        "content": {EVENT_STREAM: _EVENTS},
    }
    parameters = [
        _parameter("query", Annotated[ChangeParams, Query()]),
        _parameter("last_event_id", _LAST_EVENT_ID, None),
    ]
    declared = {
        "operation_id": "list_changes",
        "name": "list_changes",
        "summary": "List changes, or watch them",
        "description": "With `Accept: text/event-stream` the answer does not end: every change is an event whose id is "
        "its revision, and comments come as heartbeats. A slow reader is cut off; it resumes with `Last-Event-ID`.",
        "tags": ["changes"],
        "response_model": ChangeListResponse,
        "responses": responses,
    }
    return Declaration(parameters, declared)


def _revert_route(perform: Perform[LogCall]) -> DirectRoute:
    path = "/revisions/{revision}/revert"
    return DirectRoute(path, _endpoint(LogOperation.REVERT, perform), "POST", _declare_revert)


def _declare_revert() -> Declaration:
    responses = problem_answers(_REVERT_ERRORS)
    responses[200] = {"description": "Undone by the change that is returned", "headers": REVISION_HEADERS}
    declared = {
        "operation_id": "revert_revision",
        "name": "revert_revision",
        "summary": "Undo a revision as a new one",
        "description": "What was created is deleted, what was changed or deleted is as it was before. Refused if a "
        "later change of the same resource builds on it.",
        "tags": ["changes"],
        "response_model": create_model("ChangeResponse", __base__=CRUDResponse[Any], data=(Change, ...)),
        "responses": responses,
    }
    return Declaration([_parameter("revision", Annotated[Count, Path(ge=1)]), IDEMPOTENCY_KEY_PARAMETER], declared)


def _endpoint(operation: LogOperation, perform: Perform[LogCall]) -> DirectEndpoint:
    needed = LOG_WRITING if operation is LogOperation.REVERT else LOG_READING
    return make_endpoint(needed, LOG_PARSERS[operation], perform)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
