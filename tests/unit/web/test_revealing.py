"""Who may see secrets in plain: decided from who asks, and by nothing that a caller can send."""

from typing import Any

import pytest
from starlette.types import Message

from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.security.scopes import ROLES, SECRETS_READ, Role
from sarvanom.shared.errors import Forbidden, ValidationFailed
from sarvanom.shared.resources import MODELS, RESOURCES, SETTINGS, Resource
from sarvanom.web.calls import Operation, ResourceCall
from sarvanom.web.resource_calls import PARSERS
from tests.unit.web.asgi import http_scope

ALLOWED = Principal("key:1", frozenset({SECRETS_READ}))
WITH_SECRETS = [resource for resource in RESOURCES if resource.is_revealable]


async def read(resource: Resource[Any], query: bytes, principal: Principal | None) -> ResourceCall:
    async def receive() -> Message:
        raise AssertionError("a read has no body")

    scope = http_scope(query_string=query, headers=[(b"sarvanom.principal", b"key:1")])
    scope["path_params"] = {resource.id_field: "x"}
    if principal is not None:
        scope["sarvanom.principal"] = principal
    return await PARSERS[Operation.READ](resource, scope, receive)


def test_models_and_settings_have_secrets() -> None:
    assert WITH_SECRETS == [MODELS, SETTINGS]


@pytest.mark.parametrize("resource", WITH_SECRETS, ids=lambda resource: resource.collection)
async def test_who_has_the_scope_is_told_and_named(resource: Resource[Any]) -> None:
    call = await read(resource, b"reveal=true&at_revision=3", ALLOWED)
    assert (call.revealed_to, call.at_revision) == (ALLOWED, 3)
    assert call.target == f"/{resource.collection}/x?reveal=true&at_revision=3".encode()


@pytest.mark.parametrize("query", [b"", b"reveal=false", b"at_revision=3"])
@pytest.mark.parametrize("principal", [None, ANONYMOUS, ALLOWED])
async def test_who_does_not_ask_is_not_told(query: bytes, principal: Principal | None) -> None:
    assert (await read(MODELS, query, principal)).revealed_to is None


@pytest.mark.parametrize("principal", [None, ANONYMOUS, Principal("key:2", ROLES[Role.EDITOR] | ROLES[Role.SERVICE])])
async def test_who_lacks_the_scope_is_refused(principal: Principal | None) -> None:
    with pytest.raises(Forbidden, match="secrets:read"):
        await read(SETTINGS, b"reveal=true", principal)


@pytest.mark.parametrize("query", [b"reveal=yes", b"reveal=1", b"reveal=", b"reveal=true&reveal=true", b"Reveal=true"])
async def test_a_parameter_that_is_not_right_is_refused(query: bytes) -> None:
    with pytest.raises(ValidationFailed):
        await read(MODELS, query, ALLOWED)


@pytest.mark.parametrize("query", [b"reveal=true", b"reveal=false"])
async def test_there_is_nothing_to_reveal_of_other_resources(query: bytes) -> None:
    for resource in RESOURCES:
        if not resource.is_revealable:
            with pytest.raises(ValidationFailed):
                await read(resource, query, ALLOWED)


async def test_nothing_but_one_item_is_revealed() -> None:
    for operation in (Operation.LIST, Operation.STATS):
        scope = http_scope(query_string=b"reveal=true", headers=[])
        scope["sarvanom.principal"] = ALLOWED
        with pytest.raises(ValidationFailed):
            await PARSERS[operation](MODELS, scope, None)  # type: ignore[arg-type] # a list has no body
