"""Every deliberate error: its stable code, its HTTP status and what it says.

A service raises one of these, `web` renders it as RFC 9457 problem details, and a client rebuilds the same class from
the `code` it finds there, so that a `ResourceNotFound` crosses the wire as a `ResourceNotFound`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, Self

MAX_FIELD_LENGTH: Final = 256
"""How much of a field's path an error names: callers choose it."""
_SAY_WHO: Final = {"WWW-Authenticate": "Bearer"}
_TRY_AGAIN: Final = {"Retry-After": "1"}


class FieldError(NamedTuple):
    """One reason why an input was refused: the field's dotted path ("" for the whole), and what would be right."""

    field: str
    message: str


class SarvanOMError(Exception):
    """What all deliberate errors have in common; `detail` is fit to be shown to the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    default_headers: ClassVar[Mapping[str, str]] = {}
    by_code: ClassVar[dict[str, type["SarvanOMError"]]] = {}

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(FieldError(field[:MAX_FIELD_LENGTH], message) for field, message in errors)
        self.headers = {**self.default_headers, **(headers or {})}

    def __init_subclass__(cls) -> None:
        SarvanOMError.by_code[cls.code] = cls

    def copy(self) -> Self:
        """Return the same error for another who is told of it: raising one adds to what it remembers."""
        copy = type(self)(self.detail, errors=self.errors, headers=self.headers)
        copy.__cause__ = self.__cause__
        return copy


class InternalError(SarvanOMError):
    """A defect of ours; the detail names the request id and nothing else."""

    code = "internal_error"


class MalformedJSON(SarvanOMError):
    """The body is not JSON at all."""

    status, code, title = 400, "malformed_json", "Malformed JSON"


class MalformedRequest(SarvanOMError):
    """The bytes are no HTTP request that can be read."""

    status, code, title = 400, "malformed_request", "Malformed request"


class InvalidHeader(SarvanOMError):
    """A header that the request depends on cannot be read."""

    status, code, title = 400, "invalid_header", "Invalid header"


class UntrustedHost(SarvanOMError):
    """The Host header names no host that this gateway serves."""

    status, code, title = 400, "untrusted_host", "Untrusted host"


class Unauthorized(SarvanOMError):
    """Nobody has proven who asks: there is no credential, or it is not valid."""

    status, code, title = 401, "unauthorized", "Unauthorized"
    default_headers = _SAY_WHO


class Forbidden(SarvanOMError):
    """Who asks is known, and may not do this; the detail says what it would take."""

    status, code, title = 403, "forbidden", "Forbidden"


class ContentBlocked(SarvanOMError):
    """A value looks like an attack; `errors` says where it stands, by a JSON Pointer, and never what it is."""

    status, code, title = 403, "content_blocked", "Content blocked"


class RouteNotFound(SarvanOMError):
    """No resource of the API has this path."""

    status, code, title = 404, "route_not_found", "No such path"


class ResourceNotFound(SarvanOMError):
    """The collection holds nothing under this id."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(SarvanOMError):
    """The path exists, but not with this method; the `Allow` header lists those it has."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class RequestTimeout(SarvanOMError):
    """The request did not come in time, and was not carried out."""

    status, code, title = 408, "request_timeout", "Request timeout"


class ResourceConflict(SarvanOMError):
    """The id or a unique field is taken by another resource; `errors` names the field."""

    status, code, title = 409, "already_exists", "Already exists"


class RevertConflict(SarvanOMError):
    """A later change builds on the revision that is to be undone."""

    status, code, title = 409, "revert_conflict", "Later changes build on it"


class StoreNotEmpty(SarvanOMError):
    """A whole store can be restored only into one that was never used."""

    status, code, title = 409, "store_not_empty", "Store not empty"


class RequestInProgress(SarvanOMError):
    """The request that this one repeats, by its idempotency key, is still being carried out."""

    status, code, title = 409, "request_in_progress", "Still in progress"
    default_headers = _TRY_AGAIN


class RevisionCompacted(SarvanOMError):
    """The log no longer holds the revision; `SarvanOM-Oldest-Revision` is the oldest one that it can tell of."""

    status, code, title = 410, "revision_compacted", "Revision no longer held"


class PreconditionFailed(SarvanOMError):
    """`If-Match` or `If-None-Match` does not hold for the resource as it is now."""

    status, code, title = 412, "precondition_failed", "Precondition failed"


class PayloadTooLarge(SarvanOMError):
    """The body is larger than this service takes."""

    status, code, title = 413, "payload_too_large", "Payload too large"


class TargetTooLong(SarvanOMError):
    """The target of the request, its path and query, is longer than this service reads."""

    status, code, title = 414, "target_too_long", "Target too long"


class UnsupportedMediaType(SarvanOMError):
    """The body is of a media type that this path does not read."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class ValidationFailed(SarvanOMError):
    """The input was understood and breaks a rule; `errors` says which fields, and how."""

    status, code, title = 422, "validation_failed", "Validation failed"


class IdempotencyKeyReused(SarvanOMError):
    """The idempotency key was used for another request."""

    status, code, title = 422, "idempotency_key_reused", "Idempotency key reused"


class RateLimited(SarvanOMError):
    """The caller has asked for more than it may; the request was not carried out."""

    status, code, title = 429, "rate_limited", "Too many requests"
    default_headers = _TRY_AGAIN


class HeadTooLarge(SarvanOMError):
    """The request has more headers, or larger ones, than this service reads."""

    status, code, title = 431, "head_too_large", "Head too large"


class UpstreamFailed(SarvanOMError):
    """The service behind the gateway broke off or spoke no HTTP; a write may or may not have been carried out."""

    status, code, title = 502, "upstream_failed", "Upstream failed"
    default_headers = _TRY_AGAIN


class ServiceUnavailable(SarvanOMError):
    """The service, or what it depends on, cannot be reached; the request was not carried out."""

    status, code, title = 503, "service_unavailable", "Service unavailable"
    default_headers = _TRY_AGAIN


class UpstreamTimeout(SarvanOMError):
    """The service behind the gateway did not answer in time; a write may or may not have been carried out."""

    status, code, title = 504, "upstream_timeout", "Upstream timeout"
    default_headers = _TRY_AGAIN


def error_from_code(
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> SarvanOMError:
    """Rebuild the error that was rendered with `code`; an unknown code becomes an `InternalError`."""
    return SarvanOMError.by_code.get(code, InternalError)(detail, errors=errors, headers=headers)
