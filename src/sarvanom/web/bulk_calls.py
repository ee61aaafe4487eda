"""From a request to a call for many resources of one collection: a body of lines, or an answer of lines."""

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.bulk_models import ImportParams
from sarvanom.shared.models.crud_models import MAX_LIMIT
from sarvanom.shared.query_strings import parse_parameters, parse_query
from sarvanom.shared.resources import Resource
from sarvanom.web.bodies import body_chunks
from sarvanom.web.calls import Operation, ResourceCall
from sarvanom.web.middleware.body_limit import LINE_LIMIT
from sarvanom.web.middleware.request_id import request_id
from sarvanom.web.request_headers import JSON, NDJSON, check_media_type, idempotency_key

DEFAULT_LINE_LIMIT: Final = 10 * 2**20
_LINE_LIMIT_HEADER: Final = b"sarvanom-line-limit"
"""By which the gateway tells crud of its limit."""
_OF_PAGES: Final = ("limit", "cursor", "skip", "include_total")


def parse_import(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    """Return the call that stores a body of lines; the lines themselves are looked at as they come in.

    Raises:
        ValidationFailed: there are other parameters than `on_conflict`.
        UnsupportedMediaType, InvalidHeader: a header is wrong.
    """
    check_media_type(scope, (JSON, NDJSON))
    query_string: bytes = scope["query_string"]
    on_conflict = parse_parameters(ImportParams, query_string).on_conflict
    limit = _line_limit(scope)
    return ResourceCall(
        operation=Operation.IMPORT,
        method="POST",
        resource=resource,
        target=f"/{resource.collection}?on_conflict={on_conflict}".encode(),
        request_id=request_id(scope),
        headers=[(b"content-type", NDJSON.encode()), (_LINE_LIMIT_HEADER, b"%d" % limit)],
        chunks=body_chunks(receive),
        is_streamed=True,
        idempotency_key=idempotency_key(scope),
        on_conflict=on_conflict,
        line_limit=limit,
    )


def parse_export(resource: Resource[Any], scope: Scope) -> ResourceCall:
    """Return the call that lists everything that matches, a line each; raises `ValidationFailed`."""
    query_string: bytes = scope["query_string"]
    query = parse_query(resource, query_string)
    given = {name for name, _ in parse_qsl(query_string.decode("ascii"), keep_blank_values=True)}
    if found := [name for name in _OF_PAGES if name in given]:
        message = "Must be absent: an export has no pages"
        raise ValidationFailed(
            "The query parameters are not valid", errors=[FieldError(name, message) for name in found]
        )
    return ResourceCall(
        operation=Operation.EXPORT,
        method="GET",
        resource=resource,
        target=f"/{resource.collection}".encode() + (b"?" + query_string if query_string else b""),
        request_id=request_id(scope),
        headers=[(b"accept", NDJSON.encode())],
        query=replace(query, limit=MAX_LIMIT),
        is_streamed=True,
    )


def _line_limit(scope: Scope) -> int:
    """Return how long a line may be: the least that the edge of this service, and the gateway before it, say."""
    told = [value for name, value in scope["headers"] if name == _LINE_LIMIT_HEADER]
    limits = [int(value) for value in told if value.isdigit() and len(value) < 12]
    if LINE_LIMIT in scope:
        limits.append(scope[LINE_LIMIT])
    return min(limits, default=DEFAULT_LINE_LIMIT)
