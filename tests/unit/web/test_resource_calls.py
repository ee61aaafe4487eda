"""From requests to calls: what each operation reads, refuses and hands on."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message

from sarvanom.shared.errors import InvalidHeader, MalformedJSON, SarvanOMError, UnsupportedMediaType, ValidationFailed
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.preconditions import ANY, NO_PRECONDITIONS, Preconditions
from sarvanom.shared.resources import CACHE, SETTINGS, USERS, Resource
from sarvanom.shared.trace_context import RequestNotes
from sarvanom.web.calls import Headers, Operation, ResourceCall
from sarvanom.web.middleware.request_id import NOTES
from sarvanom.web.resource_calls import PARSERS
from tests.unit.web.asgi import http_scope

ADA = b'{"user_id": "ada", "username": "Ada", "email": "ada@example.org"}'
AS_JSON = (b"content-type", b"application/json")
AS_PATCH = (b"content-type", b"application/merge-patch+json")
IF_MATCH = (b"if-match", b'"7"')
CREATE_ONLY = (b"if-none-match", b"*")


async def parse(
    operation: Operation,
    resource: Resource[Any] = USERS,
    *,
    id: str | None = None,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    query: bytes = b"",
) -> ResourceCall:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    scope = http_scope(headers=[(b"x-secret", b"kept back"), *headers], query_string=query)
    scope[NOTES] = RequestNotes("r-1")
    if id is not None:
        scope["path_params"] = {resource.id_field: id}
    return await PARSERS[operation](resource, scope, receive)


def request_line(call: ResourceCall) -> tuple[str, bytes, str]:
    return call.method, call.target, call.request_id


def test_every_operation_has_a_parser() -> None:
    assert set(PARSERS) == set(Operation) - {Operation.IMPORT, Operation.EXPORT}  # the media type chooses those


async def test_creation_has_the_bytes_as_they_came_and_reads_the_item_when_asked() -> None:
    call = await parse(Operation.CREATE, headers=[AS_JSON, IF_MATCH], body=ADA)
    assert request_line(call) == ("POST", b"/users", "r-1")
    assert (call.body, call.headers) == (ADA, [AS_JSON])
    item = call.parse_item()
    assert isinstance(item, UserProfile)
    assert item.user_id == "ada"
    assert call.preconditions is NO_PRECONDITIONS


async def test_reading_has_the_id_and_the_conditions() -> None:
    call = await parse(Operation.READ, id="a/b:c@1", headers=[(b"if-none-match", b'W/"7"')])
    assert request_line(call) == ("GET", b"/users/a/b:c@1", "r-1")
    assert call.preconditions == Preconditions(if_none_match=frozenset({'"7"'}))
    assert call.headers == [(b"if-none-match", b'W/"7"')]


async def test_replacement_has_both_conditions_and_body() -> None:
    call = await parse(Operation.REPLACE, id="ada", headers=[AS_JSON, CREATE_ONLY], body=ADA)
    assert request_line(call) == ("PUT", b"/users/ada", "r-1")
    assert call.headers == [AS_JSON, CREATE_ONLY]
    assert call.preconditions == Preconditions(if_none_match=ANY)
    assert (call.parse_item().user_id, call.body) == ("ada", ADA)


@pytest.mark.parametrize("media_type", [AS_JSON, AS_PATCH])
async def test_patch_is_handed_on_as_a_merge_patch_whatever_it_came_as(media_type: tuple[bytes, bytes]) -> None:
    body = b'{"username": "Bob", "revision": 3, "settings": null}'
    call = await parse(Operation.PATCH, id="ada", headers=[media_type, IF_MATCH], body=body)
    assert request_line(call) == ("PATCH", b"/users/ada", "r-1")
    assert call.headers == [AS_PATCH, IF_MATCH]
    assert (call.parse_item(), call.body) == ({"username": "Bob", "settings": None}, body)


async def test_deletion_has_the_conditions() -> None:
    call = await parse(Operation.DELETE, id="ada", headers=[IF_MATCH])
    assert request_line(call) == ("DELETE", b"/users/ada", "r-1")
    assert call.preconditions == Preconditions(if_match=frozenset({'"7"'}))


async def test_list_has_the_query_and_hands_it_on_as_it_came() -> None:
    call = await parse(Operation.LIST, query=b"username=%41da&limit=3")
    assert request_line(call) == ("GET", b"/users?username=%41da&limit=3", "r-1")
    assert call.query is not None
    assert (call.query.limit, call.query.conditions[0].value) == (3, "ada")
    assert (await parse(Operation.LIST)).target == b"/users"


async def test_invalidation_has_the_conditions_and_hands_them_on() -> None:
    call = await parse(Operation.INVALIDATE, CACHE, query=b"tag=a%2Fb")
    assert request_line(call) == ("DELETE", b"/cache?tag=a%2Fb", "r-1")
    assert [condition.value for condition in call.conditions] == [["a/b"]]


async def test_stats_ask_for_nothing_more() -> None:
    call = await parse(Operation.STATS, CACHE)
    assert request_line(call) == ("GET", b"/cache-stats", "r-1")


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.REPLACE, Operation.PATCH])
@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        ([], ADA, UnsupportedMediaType),
        ([(b"content-type", b"text/plain")], ADA, UnsupportedMediaType),
        ([AS_JSON], b"{", MalformedJSON),
        ([AS_JSON], b"", MalformedJSON),
        ([AS_JSON], b'{"colour": "red"}', ValidationFailed),
    ],
)
async def test_body_that_is_not_right_is_refused(
    operation: Operation, headers: Headers, body: bytes, error: type[SarvanOMError]
) -> None:
    with pytest.raises(error):
        (await parse(operation, id="ada", headers=headers, body=body)).parse_item()


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.REPLACE])
async def test_patch_is_no_item(operation: Operation) -> None:
    with pytest.raises(UnsupportedMediaType):
        await parse(operation, id="ada", headers=[AS_PATCH], body=ADA)


@pytest.mark.parametrize("operation", [Operation.READ, Operation.REPLACE, Operation.PATCH, Operation.DELETE])
@pytest.mark.parametrize("id", ["", "..", "a//b", "a b", "\u00e9", "x" * 256, "a%20b", "/a"])
async def test_path_that_holds_no_id_is_refused_by_the_fields_name(operation: Operation, id: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await parse(operation, SETTINGS, id=id, headers=[AS_JSON], body=b'{"setting_value": 1}')
    assert {error.field for error in caught.value.errors} == {"setting_key"}


@pytest.mark.parametrize("operation", [Operation.READ, Operation.REPLACE, Operation.PATCH, Operation.DELETE])
async def test_condition_that_cannot_be_read_is_refused(operation: Operation) -> None:
    with pytest.raises(InvalidHeader):
        await parse(operation, id="ada", headers=[AS_JSON, (b"if-match", b"7")], body=b"{}")


async def test_replacement_about_another_item_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="not about this user"):
        (await parse(Operation.REPLACE, id="bob", headers=[AS_JSON], body=ADA)).parse_item()


async def test_reading_the_past_hands_the_revision_on() -> None:
    call = await parse(Operation.READ, id="ada", query=b"at_revision=7")
    assert (call.target, call.at_revision) == (b"/users/ada?at_revision=7", 7)
    assert (await parse(Operation.READ, id="ada")).at_revision is None


@pytest.mark.parametrize("query", [b"at_revision=", b"at_revision=-1", b"at_revision=1_0", b"at_revision=1&x=2"])
async def test_past_that_is_none_is_refused(query: bytes) -> None:
    with pytest.raises(ValidationFailed, match="query parameters"):
        await parse(Operation.READ, id="ada", query=query)


WRITES = (Operation.CREATE, Operation.REPLACE, Operation.PATCH, Operation.DELETE)


@pytest.mark.parametrize("operation", WRITES)
async def test_writes_have_their_key(operation: Operation) -> None:
    for given, key in ((b'"a key"', "a key"), (b"k-1", "k-1")):
        call = await parse(operation, id="ada", headers=[AS_JSON, (b"idempotency-key", given)], body=ADA)
        assert call.idempotency_key == key
    with pytest.raises(InvalidHeader):
        await parse(operation, id="ada", headers=[AS_JSON, (b"idempotency-key", b"a key")], body=ADA)


@pytest.mark.parametrize("operation", sorted({*WRITES, Operation.STATS}))
async def test_parameter_where_there_are_none_is_refused(operation: Operation) -> None:
    with pytest.raises(ValidationFailed, match="query parameters"):
        await parse(operation, id="ada", headers=[AS_JSON], body=ADA, query=b"at_revision=1")


@pytest.mark.parametrize(("operation", "query"), [(Operation.LIST, b"limit=0"), (Operation.INVALIDATE, b"")])
async def test_query_that_is_not_right_is_refused(operation: Operation, query: bytes) -> None:
    with pytest.raises(ValidationFailed):
        await parse(operation, CACHE, query=query)
