"""What the operations of a collection look like on the wire, and what becomes of the answers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from sarvanom.shared.clients.crud_client import ModelClient, UserClient
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import UpstreamFailed, ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams, ModelConfiguration, PaginationParams, UserProfile
from sarvanom.shared.resources import MODELS, USERS
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport, answer

ADA = UserProfile(user_id="ada", username="Ada", email="ada@example.org")
STORED: dict[str, Any] = {
    "user_id": "ada",
    "username": "Ada",
    "email": "ada@example.org",
    "preferences": {},
    "settings": {},
    "service": "default",
    "created_at": "2026-01-31T12:00:00.000000Z",
    "updated_at": "2026-01-31T12:00:00.000000Z",
    "revision": 7,
}


def envelope(data: object, metadata: Mapping[str, object] | None = None) -> bytes:
    body = {"status": "success", "message": "Done", "data": data, "metadata": metadata or {}}
    return json.dumps(body).encode()


def users(*outcomes: Outcome) -> tuple[UserClient, ScriptedTransport]:
    transport = ScriptedTransport(outcomes or [answer(200, envelope(STORED))])
    return UserClient(ServiceClient(transport), USERS), transport


def header(request: Request, name: bytes) -> bytes | None:
    return dict(request.headers).get(name)


async def test_create_posts_the_item_without_the_servers_fields_and_a_service_that_was_not_named() -> None:
    client, transport = users(answer(201, envelope(STORED)))
    created = await client.create(ADA.model_copy(update={"revision": 3}))
    (request,) = transport.requests
    assert (request.method, request.target) == ("POST", b"/users")
    assert header(request, b"content-type") == b"application/json"
    left_out = UserProfile.server_fields | {"service"}
    assert json.loads(request.body) == {key: value for key, value in STORED.items() if key not in left_out}
    client, transport = users(answer(201, envelope(STORED)))
    await client.create(ADA.model_copy(update={"service": "default"}))
    assert json.loads(transport.requests[0].body)["service"] == "default"
    assert created.revision == 7
    assert created.created_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_get_returns_the_model() -> None:
    client, transport = users()
    assert (await client.get("ada")).username == "Ada"
    assert (transport.requests[0].method, transport.requests[0].target) == ("GET", b"/users/ada")


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"if_match": 7}, {b"if-match": b'"7"'}),
        ({"create": True}, {b"if-none-match": b"*"}),
    ],
)
async def test_replace_puts_on_its_condition(options: dict[str, Any], sent: dict[bytes, bytes]) -> None:
    client, transport = users()
    await client.replace(ADA, **options)
    (request,) = transport.requests
    assert (request.method, request.target) == ("PUT", b"/users/ada")
    assert {name: value for name, value in request.headers if name.startswith(b"if-")} == sent
    assert json.loads(request.body)["email"] == "ada@example.org"


async def test_patch_sends_a_merge_patch() -> None:
    client, transport = users()
    await client.patch("ada", {"preferences": {"theme": None}}, if_match=7)
    (request,) = transport.requests
    assert (request.method, request.target) == ("PATCH", b"/users/ada")
    assert request.body == b'{"preferences":{"theme":null}}'
    assert header(request, b"content-type") == b"application/merge-patch+json"
    assert header(request, b"if-match") == b'"7"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
async def test_patch_that_json_cannot_carry_is_not_sent(value: Any) -> None:
    client, transport = users()
    with pytest.raises(ValidationFailed):
        await client.patch("ada", {"preferences": value})
    assert transport.requests == []


async def test_delete_is_done_with_204() -> None:
    client, transport = users(204)
    await client.delete("ada", if_match=7)
    (request,) = transport.requests
    assert (request.method, request.target, header(request, b"if-match")) == ("DELETE", b"/users/ada", b'"7"')


async def test_list_asks_for_a_page() -> None:
    metadata = {"limit": 2, "next_cursor": "abc", "total": 5}
    client, transport = users(answer(200, envelope({"items": [STORED]}, metadata)))
    page = await client.list(PaginationParams(limit=2, sort="-username"), FilterParams(username="a b"))
    assert transport.requests[0].target == b"/users?limit=2&sort=-username&username=a+b"
    assert (page.limit, page.next_cursor, page.total) == (2, "abc", 5)
    assert [type(item) for item in page.items] == [UserProfile]


async def test_list_of_everything_has_no_query() -> None:
    client, transport = users(answer(200, envelope({"items": []}, {"limit": 100, "next_cursor": None})))
    page = await client.list()
    assert transport.requests[0].target == b"/users"
    assert (page.items, page.next_cursor, page.total) == ([], None, None)


async def test_iterate_follows_the_cursor() -> None:
    client, transport = users(
        answer(200, envelope({"items": [STORED]}, {"limit": 1000, "next_cursor": "abc"})),
        answer(200, envelope({"items": [STORED]}, {"limit": 1000, "next_cursor": None})),
    )
    assert [item.user_id async for item in client.iterate()] == ["ada", "ada"]
    assert transport.requests[1].target == b"/users?limit=1000&cursor=abc"


@pytest.mark.parametrize("id", ["bedrock/*/cohere.command-text-v14", "@cf/meta/llama", "a!$&'()*+,;=:@b-._~", "..."])
async def test_id_stands_in_the_path_as_it_is(id: str) -> None:
    stored = {"model_name": id, "provider": "x", "revision": 1}
    transport = ScriptedTransport([answer(200, envelope(stored))])
    client = ModelClient(ServiceClient(transport), MODELS)
    assert (await client.get(id)) == ModelConfiguration(model_name=id, provider="x", revision=1)
    assert transport.requests[0].target == b"/models/" + id.encode()


@pytest.mark.parametrize(
    "id", ["", "..", "a/../b", "/a", "a//b", "a b", "a?b", "a#b", "a%2Fb", "ä", "a\r\nb", "x" * 256]
)
async def test_id_that_breaks_the_grammar_is_never_sent(id: str) -> None:
    client, transport = users()
    for call in (client.get(id), client.delete(id), client.patch(id, {})):
        with pytest.raises(ValidationFailed) as caught:
            await call
        assert [error.field for error in caught.value.errors] == ["user_id"]
    with pytest.raises(ValidationFailed):
        await client.replace(UserProfile.model_construct(user_id=id, username="a", email="a@b"))
    assert transport.requests == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": 1}', envelope({"user_id": "ada"})])
async def test_answer_that_is_none_of_the_api(body: bytes) -> None:
    client, _ = users(answer(200, body))
    with pytest.raises(UpstreamFailed):
        await client.get("ada")
    with pytest.raises(UpstreamFailed):
        await client.list()


async def test_past_is_asked_for_by_revision() -> None:
    client, transport = users()
    assert (await client.get("ada", at_revision=7)).username == "Ada"
    assert transport.requests[0].target == b"/users/ada?at_revision=7"
