"""What OpenAPI says about the answers of each operation."""

from collections.abc import Iterable
from typing import Any, Final

from sarvanom.shared.errors import (
    ContentBlocked,
    Forbidden,
    IdempotencyKeyReused,
    InternalError,
    InvalidHeader,
    MalformedJSON,
    MalformedRequest,
    PayloadTooLarge,
    PreconditionFailed,
    RateLimited,
    RequestInProgress,
    ResourceConflict,
    ResourceNotFound,
    RevisionCompacted,
    SarvanOMError,
    ServiceUnavailable,
    TargetTooLong,
    Unauthorized,
    UnsupportedMediaType,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.web.calls import Operation
from sarvanom.web.request_headers import NDJSON

PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}

_ANY: Final = (
    MalformedRequest,
    ContentBlocked,
    RateLimited,
    Unauthorized,
    Forbidden,
    InternalError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
_ITEM: Final = (InvalidHeader, ResourceNotFound, ValidationFailed)
_BODY: Final = (MalformedJSON, PayloadTooLarge, UnsupportedMediaType, ValidationFailed)
_KEYED: Final = (InvalidHeader, RequestInProgress, IdempotencyKeyReused)
_ERRORS: Final[dict[Operation, tuple[type[SarvanOMError], ...]]] = {
    Operation.CREATE: (*_BODY, ResourceConflict, *_KEYED, *_ANY),
    Operation.READ: (*_ITEM, Forbidden, PreconditionFailed, RevisionCompacted, *_ANY),
    Operation.REPLACE: (*_ITEM, *_BODY, ResourceConflict, PreconditionFailed, *_KEYED, *_ANY),
    Operation.PATCH: (*_ITEM, *_BODY, ResourceConflict, PreconditionFailed, *_KEYED, *_ANY),
    Operation.DELETE: (*_ITEM, PreconditionFailed, *_KEYED, *_ANY),
    Operation.LIST: (ValidationFailed, TargetTooLong, *_ANY),
    Operation.INVALIDATE: (ValidationFailed, *_KEYED, *_ANY),
    Operation.STATS: (ValidationFailed, *_ANY),
    Operation.ROTATE: (*_ITEM, *_BODY, *_KEYED, *_ANY),
}
_TEXT: Final = {"type": "string", "maxLength": 4096}
_COUNT: Final = {"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_INTEGER}
_ETAG: Final = {"ETag": {"description": "The revision in quotes.", "schema": _TEXT}}
_REVISION: Final = {"SarvanOM-Revision": {"description": "The revision of this write.", "schema": _COUNT}}
_REPLAYED: Final = {
    "Idempotency-Replayed": {
        "description": "`true` if this is the answer to an earlier request with the same key, given again.",
        "schema": {"type": "string", "const": "true", "maxLength": 4},
    }
}
LINES: Final = {"schema": {"type": "string", "maxLength": 2**31 - 1}}
"""A body of JSON objects, one a line, which OpenAPI has no schema for."""
REVISION_HEADERS: Final = _REVISION | _REPLAYED
_RESULTS: Final = {
    **LINES,
    "example": '{"line":1,"status":201,"outcome":"created","id":"ada","revision":17}\n',
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "In how many seconds there is more.", "schema": _COUNT}}
DECLARED_LIMIT_HEADERS: Final = {
    "RateLimit": {"description": "What is left of each quota (draft-ietf-httpapi-ratelimit-headers).", "schema": _TEXT},
    "RateLimit-Policy": {"description": "The quotas of this kind of request.", "schema": _TEXT},
    "x-ratelimit-limit-requests": {"description": "The quota of requests in a minute.", "schema": _COUNT},
    "x-ratelimit-remaining-requests": {"description": "How many are left.", "schema": _COUNT},
    "x-ratelimit-reset-requests": {"description": "When there are more: `7s`, `1m0s`.", "schema": _TEXT},
}
"""What answers of a gateway have whose kind of request has a quota."""
_LOCATION: Final = {"Location": {"description": "The path of the new resource.", "schema": _TEXT}}


def declared_answers(
    operation: Operation, success: Any, *, takes_lines: bool = True
) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for an operation whose success has this model."""
    answers: dict[int | str, dict[str, Any]] = {}
    match operation:
        case Operation.CREATE:
            answers[201] = {"description": "Created", "headers": _ETAG | REVISION_HEADERS | _LOCATION}
            if takes_lines:
                answers[200] = {"description": "A result for each line, in their order", "content": {NDJSON: _RESULTS}}
        case Operation.LIST:
            answers[200] = {"description": "A page, or everything a line each", "content": {NDJSON: LINES}}
        case Operation.READ:
            answers[200] = {"description": "Found", "headers": _ETAG}
            answers[304] = {"description": "Not modified: the caller has this revision", "headers": _ETAG}
        case Operation.REPLACE:
            answers[200] = {"description": "Replaced", "headers": _ETAG | REVISION_HEADERS}
            answers[201] = {"model": success, "description": "Created", "headers": _ETAG | REVISION_HEADERS | _LOCATION}
        case Operation.PATCH | Operation.ROTATE:
            answers[200] = {"description": "Changed", "headers": _ETAG | REVISION_HEADERS}
        case Operation.INVALIDATE:
            answers[200] = {"description": "Deleted", "headers": REVISION_HEADERS}
        case Operation.DELETE:
            answers[204] = {"description": "Deleted", "headers": REVISION_HEADERS}
        case _:
            answers[200] = {"description": "Success"}
    return answers | problem_answers(_ERRORS[operation])


def problem_answers(errors: Iterable[type[SarvanOMError]]) -> dict[int | str, dict[str, Any]]:
    """Return the declarations of errors' answers by status; of those that share one, the first speaks for it."""
    answers: dict[int | str, dict[str, Any]] = {}
    for error in sorted(errors, key=lambda error: error.status):
        answers.setdefault(error.status, problem_answer(error))
    return answers


def problem_answer(error: type[SarvanOMError]) -> dict[str, Any]:
    """Return the declaration of an error's answer."""
    answer: dict[str, Any] = {
        "description": error.title,
        "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}},
    }
    return answer | {"headers": _RETRY_AFTER} if error is RateLimited else answer
