"""The routes of a resource, generated from its declaration: one set for all resources, for gateway and crud alike."""

import inspect
from functools import partial
from inspect import Parameter
from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Header, Path, Query
from starlette.types import Receive, Scope

from sarvanom.security.scopes import read_scope, write_scope
from sarvanom.shared.invalidation import InvalidationParams
from sarvanom.shared.models.bulk_models import ImportParams
from sarvanom.shared.models.fields import Count, ResourceId
from sarvanom.shared.models.key_models import Rotation
from sarvanom.shared.queries import list_params
from sarvanom.shared.resources import CACHE, RESOURCES, Resource
from sarvanom.web.calls import Operation, Perform, ResourceCall
from sarvanom.web.declared_answers import LINES, declared_answers
from sarvanom.web.endpoints import make_endpoint
from sarvanom.web.envelopes import success_model
from sarvanom.web.request_headers import JSON, MERGE_PATCH, NDJSON
from sarvanom.web.resource_calls import PARSERS
from sarvanom.web.routing import Declaration, DirectEndpoint, DirectRoute

_METHODS: Final = {
    Operation.CREATE: "POST",
    Operation.READ: "GET",
    Operation.REPLACE: "PUT",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
    Operation.LIST: "GET",
    Operation.INVALIDATE: "DELETE",
    Operation.STATS: "GET",
    Operation.ROTATE: "POST",
}
_SUMMARIES: Final = {
    Operation.CREATE: "Create {one}",
    Operation.READ: "Read {one}",
    Operation.REPLACE: "Replace {one}, or create it with If-None-Match: *",
    Operation.PATCH: "Change parts of {one} by a JSON Merge Patch",
    Operation.DELETE: "Delete {one}",
    Operation.LIST: "List every {name} that matches",
    Operation.INVALIDATE: "Delete every {name} with a tag or of a service",
    Operation.STATS: "Count entries, bytes, hits, misses and expirations",
    Operation.ROTATE: "Make a new secret for {one}",
}
_DESCRIPTIONS: Final = {
    Operation.CREATE: "The id and unique fields must be free; 409 names the one that is not. Or many at once, a JSON "
    "object a line: each line has a result of its own, and `on_conflict` says what to do if its id is taken.",
    Operation.READ: "The entity tag is the revision in quotes.",
    Operation.REPLACE: "All fields that are left out get their defaults. The id may be left out: the path names it.",
    Operation.PATCH: "RFC 7396: null removes, and so restores a default; what is absent stays as it is.",
    Operation.DELETE: "What was deleted is gone at once, for lists too.",
    Operation.LIST: "All filters must hold. Walk on with `next_cursor`: what stays is seen exactly once. With `Accept: "
    "application/x-ndjson` everything that matches comes as lines; then there are no pages.",
    Operation.INVALIDATE: "At least one of tag and service must be given; if both are, both must hold.",
    Operation.STATS: "The counters are the store's: all processes count into them, with a delay of about a second.",
    Operation.ROTATE: "The answer holds the new secret, once. The one before stays valid for `overlap_seconds`.",
}
_ISSUING: Final = (
    "The answer holds the secret, as `data.key`, once: it is not kept, and cannot be read again. Nobody can grant more "
    "than it has itself."
)
_ON_COLLECTION: Final = (Operation.CREATE, Operation.LIST)
_WRITES: Final = (
    Operation.CREATE,
    Operation.REPLACE,
    Operation.PATCH,
    Operation.DELETE,
    Operation.INVALIDATE,
    Operation.ROTATE,
)
_READS: Final = (Operation.READ, Operation.LIST, Operation.STATS)
_ON_ITEM: Final = (Operation.READ, Operation.REPLACE, Operation.PATCH, Operation.DELETE)


def add_resource_routes(app: FastAPI, perform: Perform[ResourceCall]) -> None:
    """Add the routes of all resources to the app; `perform` carries out their calls."""
    for resource in RESOURCES:
        for operation in _ON_COLLECTION:
            _add_route(app, f"/{resource.collection}", operation, resource, perform)
        path = f"/{resource.collection}/{{{resource.id_field}:path}}"
        for operation in _ON_ITEM:
            if not (resource.grants and operation is Operation.REPLACE):
                _add_route(app, path, operation, resource, perform)
        if resource.is_issued:
            _add_route(
                app, f"/{resource.collection}/{{{resource.id_field}}}/rotate", Operation.ROTATE, resource, perform
            )
    _add_route(app, "/cache", Operation.INVALIDATE, CACHE, perform)
    _add_route(app, "/cache-stats", Operation.STATS, CACHE, perform)


def _add_route(
    app: FastAPI, path: str, operation: Operation, resource: Resource[Any], perform: Perform[ResourceCall]
) -> None:
    route = DirectRoute(
        path,
        _endpoint(operation, resource, perform),
        _METHODS[operation],
        partial(_declare, operation, resource),
        reads_lines=operation is Operation.CREATE and not resource.grants,
    )
    app.router.routes.append(route)


def _declare(operation: Operation, resource: Resource[Any]) -> Declaration:
    success = success_model(operation, resource)
    name = f"{operation}_{_noun(operation, resource)}"
    declared = {
        "operation_id": name,
        "name": name,
        "summary": _SUMMARIES[operation].format(name=resource.name, one=resource.one),
        "description": _describe(operation, resource),
        "tags": [resource.collection],
        "response_model": success,
        "status_code": {Operation.CREATE: 201, Operation.DELETE: 204}.get(operation, 200),
        "responses": declared_answers(operation, success, takes_lines=not resource.grants),
        "openapi_extra": _request_body(operation, resource),
    }
    return Declaration(_parameters(operation, resource), declared)


def _endpoint(operation: Operation, resource: Resource[Any], perform: Perform[ResourceCall]) -> DirectEndpoint:
    parse = PARSERS[operation]
    needed = read_scope(resource) if operation in _READS else write_scope(resource)

    async def parse_call(scope: Scope, receive: Receive) -> ResourceCall:
        return await parse(resource, scope, receive)

    return make_endpoint({needed}, parse_call, perform, unbound=operation is Operation.STATS)


def _describe(operation: Operation, resource: Resource[Any]) -> str:
    return _ISSUING if resource.is_issued and operation is Operation.CREATE else _DESCRIPTIONS[operation]


def _noun(operation: Operation, resource: Resource[Any]) -> str:
    noun = resource.name.replace(" ", "_")
    match operation:
        case Operation.LIST | Operation.INVALIDATE | Operation.STATS:
            return resource.collection
        case _:
            return noun


def _parameters(operation: Operation, resource: Resource[Any]) -> list[Parameter]:
    parameters: list[Parameter] = []
    if operation in _ON_ITEM:
        parameters.append(_parameter(resource.id_field, Annotated[ResourceId, Path()]))
        parameters.append(_parameter("if_none_match", _entity_tags(_IF_NONE_MATCH), None))
        parameters.append(_parameter("if_match", _entity_tags(_IF_MATCH), None))
    if operation is Operation.LIST:
        parameters.append(_parameter("query", Annotated[list_params(resource), Query()]))
    if operation is Operation.ROTATE:
        parameters.append(_parameter(resource.id_field, Annotated[ResourceId, Path()]))
    if operation is Operation.CREATE and not resource.grants:
        parameters.append(_parameter("query", Annotated[ImportParams, Query()]))
    if operation is Operation.INVALIDATE:
        parameters.append(_parameter("query", Annotated[InvalidationParams, Query()]))
    if operation is Operation.READ and resource.is_logged:
        parameters.append(_parameter("at_revision", Annotated[Count, Query(description=_AT_REVISION)], None))
    if operation is Operation.READ and resource.is_revealable:
        parameters.append(_parameter("reveal", Annotated[bool, Query(description=_REVEAL)], default=False))
    if operation in _WRITES:
        parameters.append(IDEMPOTENCY_KEY_PARAMETER)
    body = {
        Operation.CREATE: Annotated[resource.write_model, Body()],
        Operation.REPLACE: Annotated[resource.replace_model, Body()],
        Operation.PATCH: Annotated[resource.patch_model, Body(media_type=MERGE_PATCH)],
        Operation.ROTATE: Annotated[Rotation, Body()],
    }.get(operation)
    if operation is Operation.ROTATE:
        return [*parameters, _parameter("body", body, default=None)]
    return parameters if body is None else [*parameters, _parameter("body", body)]


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _entity_tags(description: str) -> Any:
    return Annotated[str, Header(description=description, json_schema_extra={"pattern": _ENTITY_TAGS})]


IDEMPOTENCY_KEY_PARAMETER: Final = Parameter(
    "idempotency_key",
    Parameter.KEYWORD_ONLY,
    annotation=Annotated[
        str,
        Header(
            description="What is done under a key is done once: a repeated request gets the first answer again.",
            json_schema_extra={"pattern": "^[!#-\\[\\]-~]+$"},
            min_length=1,
            max_length=255,
        ),
    ],
    default=None,
)


def _request_body(operation: Operation, resource: Resource[Any]) -> dict[str, Any] | None:
    """A patch is read as plain JSON too, and many creations as lines; FastAPI declares one media type."""
    match operation:
        case Operation.PATCH:
            schema = {"$ref": f"#/components/schemas/{resource.patch_model.__name__}"}
            return {"requestBody": {"content": {JSON: {"schema": schema}}}}
        case Operation.CREATE if not resource.grants:
            return {"requestBody": {"content": {NDJSON: LINES}}}
        case _:
            return None


_IF_MATCH = "Carry out only if the resource has one of these entity tags (its revision in quotes), or `*`."
_IF_NONE_MATCH = "Carry out only if the resource has none of these entity tags; `*`: only if it does not exist."
_AT_REVISION: Final = "Read the resource as it was when the store was at this revision."
_REVEAL: Final = "Show secrets in plain; takes the scope `secrets:read`, and is logged."
_ENTITY_TAGS: Final = r'^(\*|(W/)?"[0-9]+"(, (W/)?"[0-9]+")*)$'
