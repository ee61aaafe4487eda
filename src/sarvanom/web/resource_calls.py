"""From a request to a call: what is wrong with a request is found here, in the gateway as in crud."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.types import Receive, Scope

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.invalidation import parse_invalidation
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import Resource, check_id
from sarvanom.shared.validation import parse_model, parse_patch, parse_replacement
from sarvanom.web.bodies import read_body
from sarvanom.web.calls import Call, Operation
from sarvanom.web.middleware.request_id import request_id
from sarvanom.web.request_headers import JSON, MERGE_PATCH, check_media_type, conditional_headers, parse_preconditions

type ParseCall = Callable[[Resource[Any], Scope, Receive], Awaitable[Call]]

_JSON_HEADER: Final = (b"content-type", JSON.encode())
_MERGE_PATCH_HEADER: Final = (b"content-type", MERGE_PATCH.encode())


async def _parse_create(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    _refuse_parameters(scope)
    check_media_type(scope, (JSON,))
    body = await read_body(receive)
    item = parse_model(resource.write_model, body)
    target = f"/{resource.collection}".encode()
    id = resource.id_of(item)
    return Call(
        Operation.CREATE,
        resource,
        "POST",
        target,
        request_id(scope),
        id=id,
        headers=[_JSON_HEADER],
        body=body,
        item=item,
    )


async def _parse_read(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    return _parse_item_call(Operation.READ, "GET", resource, scope)


async def _parse_replace(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    check_media_type(scope, (JSON,))
    call = _parse_item_call(Operation.REPLACE, "PUT", resource, scope)
    call.body = await read_body(receive)
    call.item = parse_replacement(resource, call.id, call.body)
    call.headers = [_JSON_HEADER, *(call.headers or ())]
    return call


async def _parse_patch(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    check_media_type(scope, (MERGE_PATCH, JSON))
    call = _parse_item_call(Operation.PATCH, "PATCH", resource, scope)
    call.body = await read_body(receive)
    call.item = parse_patch(resource, call.body)
    call.headers = [_MERGE_PATCH_HEADER, *(call.headers or ())]
    return call


async def _parse_delete(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    return _parse_item_call(Operation.DELETE, "DELETE", resource, scope)


async def _parse_list(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    query_string: bytes = scope["query_string"]
    query = parse_query(resource, query_string)
    target = _with_query(f"/{resource.collection}", query_string)
    return Call(Operation.LIST, resource, "GET", target, request_id(scope), query=query)


async def _parse_invalidate(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    query_string: bytes = scope["query_string"]
    conditions = parse_invalidation(query_string)
    target = _with_query(f"/{resource.collection}", query_string)
    return Call(Operation.INVALIDATE, resource, "DELETE", target, request_id(scope), conditions=conditions)


async def _parse_stats(resource: Resource[Any], scope: Scope, receive: Receive) -> Call:
    _refuse_parameters(scope)
    return Call(Operation.STATS, resource, "GET", f"/{resource.collection}-stats".encode(), request_id(scope))


def _parse_item_call(operation: Operation, method: str, resource: Resource[Any], scope: Scope) -> Call:
    _refuse_parameters(scope)
    id = check_id(resource, scope["path_params"][resource.id_field])
    headers = conditional_headers(scope)
    preconditions = parse_preconditions(headers)
    target = resource.path(id).encode()
    return Call(operation, resource, method, target, request_id(scope), id, preconditions, headers)


def _refuse_parameters(scope: Scope) -> None:
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
}
