"""From a request to a call: what is wrong with a request is found here, in the gateway as in crud.

But for the body of an item: it is read where the call is carried out, and so once.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.types import Receive, Scope

from sarvanom.shared.change_queries import parse_read
from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.invalidation import parse_invalidation
from sarvanom.shared.models.key_models import Rotation
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import Resource, check_id
from sarvanom.shared.validation import parse_model, parse_patch, parse_replacement
from sarvanom.web.bodies import read_body
from sarvanom.web.bulk_calls import parse_export, parse_import
from sarvanom.web.calls import Operation, ResourceCall
from sarvanom.web.middleware.request_id import request_id
from sarvanom.web.request_headers import (
    JSON,
    MERGE_PATCH,
    NDJSON,
    check_media_type,
    conditional_headers,
    declares,
    idempotency_key,
    parse_preconditions,
    prefers,
)
from sarvanom.web.revealing import allowed_to_reveal

type ParseCall = Callable[[Resource[Any], Scope, Receive], Awaitable[ResourceCall]]

_JSON_HEADER: Final = (b"content-type", JSON.encode())
_MERGE_PATCH_HEADER: Final = (b"content-type", MERGE_PATCH.encode())


async def _parse_create(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    if declares(scope, NDJSON) and not resource.grants:
        return parse_import(resource, scope, receive)
    refuse_parameters(scope)
    check_media_type(scope, (JSON,) if resource.grants else (JSON, NDJSON))
    body = await read_body(receive)
    return _write_call(
        Operation.CREATE,
        "POST",
        resource,
        scope,
        target=f"/{resource.collection}".encode(),
        headers=[_JSON_HEADER],
        body=body,
        parse_item=partial(parse_model, resource.write_model, body),
    )


async def _parse_read(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    query_string: bytes = scope["query_string"]
    params = parse_read(resource, query_string)
    id = check_id(resource, scope["path_params"][resource.id_field])
    headers = conditional_headers(scope)
    return ResourceCall(
        operation=Operation.READ,
        method="GET",
        resource=resource,
        request_id=request_id(scope),
        id=id,
        target=_with_query(resource.path(id), query_string),
        headers=headers,
        preconditions=parse_preconditions(headers),
        at_revision=params.at_revision,
        revealed_to=allowed_to_reveal(scope) if params.reveal else None,
    )


async def _parse_replace(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    check_media_type(scope, (JSON,))
    call = _parse_item_write(Operation.REPLACE, "PUT", resource, scope)
    call.body = await read_body(receive)
    call.parse_item = partial(parse_replacement, resource, call.id, call.body)
    call.headers = [_JSON_HEADER, *(call.headers or ())]
    return call


async def _parse_patch(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    check_media_type(scope, (MERGE_PATCH, JSON))
    call = _parse_item_write(Operation.PATCH, "PATCH", resource, scope)
    call.body = await read_body(receive)
    call.parse_item = partial(parse_patch, resource, call.body)
    call.headers = [_MERGE_PATCH_HEADER, *(call.headers or ())]
    return call


async def _parse_delete(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    return _parse_item_write(Operation.DELETE, "DELETE", resource, scope)


async def _parse_rotate(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    refuse_parameters(scope)
    id = check_id(resource, scope["path_params"][resource.id_field])
    is_declared = any(name == b"content-type" for name, _ in scope["headers"])
    if is_declared:
        check_media_type(scope, (JSON,))
    body = await read_body(receive)
    if body and not is_declared:
        check_media_type(scope, (JSON,))
    body = body or b"{}"  # all of it may be left out
    return _write_call(
        Operation.ROTATE,
        "POST",
        resource,
        scope,
        id=id,
        target=f"{resource.path(id)}/rotate".encode(),
        headers=[_JSON_HEADER],
        body=body,
        parse_item=partial(parse_model, Rotation, body),
    )


async def _parse_list(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    if prefers(scope, NDJSON):
        return parse_export(resource, scope)
    query_string: bytes = scope["query_string"]
    query = parse_query(resource, query_string)
    target = _with_query(f"/{resource.collection}", query_string)
    return ResourceCall(
        operation=Operation.LIST,
        resource=resource,
        method="GET",
        target=target,
        request_id=request_id(scope),
        query=query,
    )


async def _parse_invalidate(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    query_string: bytes = scope["query_string"]
    conditions = parse_invalidation(query_string)
    target = _with_query(f"/{resource.collection}", query_string)
    return _write_call(Operation.INVALIDATE, "DELETE", resource, scope, target=target, conditions=conditions)


async def _parse_stats(resource: Resource[Any], scope: Scope, receive: Receive) -> ResourceCall:
    refuse_parameters(scope)
    return ResourceCall(
        operation=Operation.STATS,
        resource=resource,
        method="GET",
        target=f"/{resource.collection}-stats".encode(),
        request_id=request_id(scope),
    )


def _parse_item_write(operation: Operation, method: str, resource: Resource[Any], scope: Scope) -> ResourceCall:
    refuse_parameters(scope)
    id = check_id(resource, scope["path_params"][resource.id_field])
    headers = conditional_headers(scope)
    return _write_call(
        operation,
        method,
        resource,
        scope,
        id=id,
        target=resource.path(id).encode(),
        headers=headers,
        preconditions=parse_preconditions(headers),
    )


def _write_call(
    operation: Operation, method: str, resource: Resource[Any], scope: Scope, **fields: Any
) -> ResourceCall:
    return ResourceCall(
        operation=operation,
        method=method,
        resource=resource,
        request_id=request_id(scope),
        idempotency_key=idempotency_key(scope),
        **fields,
    )


def refuse_parameters(scope: Scope) -> None:
    """Refuse query parameters where there are none: a mistyped one must not be passed over in silence."""
    if scope["query_string"]:
        raise ValidationFailed(
            "The query parameters are not valid", errors=[FieldError("", "This request takes no query parameters")]
        )


def _with_query(path: str, query_string: bytes) -> bytes:
    return path.encode() + b"?" + query_string if query_string else path.encode()


PARSERS: Final[Mapping[Operation, ParseCall]] = {
    Operation.CREATE: _parse_create,
    Operation.READ: _parse_read,
    Operation.REPLACE: _parse_replace,
    Operation.PATCH: _parse_patch,
    Operation.DELETE: _parse_delete,
    Operation.LIST: _parse_list,
    Operation.INVALIDATE: _parse_invalidate,
    Operation.STATS: _parse_stats,
    Operation.ROTATE: _parse_rotate,
}
