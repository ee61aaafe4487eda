"""What crud answers: envelopes around the bytes that are stored, and the headers of each operation."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.passwords import Passwords
from sarvanom.services.crud.accounts import HashedFields
from sarvanom.services.crud.answers import StoreAnswers
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.key_issuer import KeyIssuer
from sarvanom.shared.errors import PreconditionFailed, ResourceConflict, ResourceNotFound, ValidationFailed
from sarvanom.shared.invalidation import parse_invalidation
from sarvanom.shared.preconditions import ANY, Preconditions
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, USERS
from sarvanom.shared.validation import parse_model
from sarvanom.web.calls import Answer, Operation, ResourceCall
from tests.harness.secrets import sealed

ADA = b'{"user_id": "ada/1", "username": "Ada", "email": "ada@example.org"}'
JSON = "application/json"


type Ask = Callable[[ResourceCall], Awaitable[Answer]]


@pytest.fixture
async def answers(tmp_path: Path) -> AsyncIterator[Ask]:
    async with StoredCRUDService(sealed(SQLiteStore(tmp_path / "s.db"))) as service:
        perform = StoreAnswers(service, KeyIssuer(b"s" * 32), HashedFields(Passwords()))

        async def ask(call: ResourceCall) -> Answer:
            answer = await perform(call)
            assert isinstance(answer, Answer)
            return answer

        yield ask


def user(operation: Operation, **fields: Any) -> ResourceCall:
    """Return a call about a user, or about what the fields say; `item` is what its body says."""
    item = fields.pop("item", parse_model(USERS.write_model, ADA))
    given = {"resource": USERS, "id": "ada/1", **fields}
    return ResourceCall(operation=operation, method="", target=b"", request_id="r-1", parse_item=lambda: item, **given)


def headers(answer: Answer) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in answer.headers}


async def test_created_item_has_a_place_a_tag_and_a_revision(answers: Ask) -> None:
    answer = await answers(user(Operation.CREATE))
    assert answer.status == 201
    assert headers(answer) == {
        "content-type": JSON, "etag": '"1"', "sarvanom-revision": "1", "location": "/users/ada/1",
    }  # fmt: skip
    body = orjson.loads(answer.body)
    assert {**body, "data": None} == {"status": "success", "message": "user created", "data": None, "metadata": {}}
    assert body["data"]["revision"] == 1
    with pytest.raises(ResourceConflict):
        await answers(user(Operation.CREATE))


async def test_item_is_read_as_the_bytes_that_were_written(answers: Ask) -> None:
    created = await answers(user(Operation.CREATE))
    answer = await answers(user(Operation.READ))
    assert (answer.status, headers(answer)) == (200, {"content-type": JSON, "etag": '"1"'})
    assert answer.body == created.body.replace(b"user created", b"user found")


@pytest.mark.parametrize(("tags", "status"), [({'"1"'}, 304), ({'"0"'}, 200), (ANY, 304), (set(), 200)])
async def test_reader_who_has_the_revision_gets_no_body(answers: Ask, tags: set[str], status: int) -> None:
    await answers(user(Operation.CREATE))
    preconditions = Preconditions(if_none_match=frozenset(tags) if tags is not ANY else ANY)
    answer = await answers(user(Operation.READ, preconditions=preconditions))
    assert (answer.status, headers(answer)["etag"], answer.body == b"") == (status, '"1"', status == 304)


async def test_reader_is_held_to_if_match(answers: Ask) -> None:
    await answers(user(Operation.CREATE))
    assert (await answers(user(Operation.READ, preconditions=Preconditions(if_match=ANY)))).status == 200
    with pytest.raises(PreconditionFailed):
        await answers(user(Operation.READ, preconditions=Preconditions(if_match=frozenset({'"9"'}))))


async def test_absent_item_is_not_found(answers: Ask) -> None:
    for operation in (Operation.READ, Operation.REPLACE, Operation.DELETE):
        with pytest.raises(ResourceNotFound):
            await answers(user(operation))
    with pytest.raises(ResourceNotFound):
        await answers(user(Operation.PATCH, item={}))


async def test_replacement_creates_only_if_asked(answers: Ask) -> None:
    create = user(Operation.REPLACE, preconditions=Preconditions(if_none_match=ANY))
    created = await answers(create)
    assert (created.status, headers(created)["location"]) == (201, "/users/ada/1")
    assert b'"user created"' in created.body
    with pytest.raises(PreconditionFailed):
        await answers(create)
    replaced = await answers(user(Operation.REPLACE, preconditions=Preconditions(if_match=frozenset({'"1"'}))))
    assert (replaced.status, headers(replaced)) == (
        200, {"content-type": JSON, "etag": '"2"', "sarvanom-revision": "2"},
    )  # fmt: skip


async def test_patch_and_deletion_take_revisions(answers: Ask) -> None:
    await answers(user(Operation.CREATE))
    patched = await answers(user(Operation.PATCH, item={"settings": {"a": 1}}))
    assert (patched.status, headers(patched)["etag"]) == (200, '"2"')
    assert orjson.loads(patched.body)["data"]["settings"] == {"a": 1}
    assert orjson.loads(patched.body)["message"] == "user changed"
    deleted = await answers(user(Operation.DELETE))
    assert deleted == Answer(204, [(b"sarvanom-revision", b"3")], b"")


async def test_patch_cannot_change_the_id_nor_break_a_rule(answers: Ask) -> None:
    await answers(user(Operation.CREATE))
    for item in ({"user_id": "bob"}, {"email": "none"}):
        with pytest.raises(ValidationFailed):
            await answers(user(Operation.PATCH, item=item))
    assert b'"revision":1}' in (await answers(user(Operation.READ))).body


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_list_joins_what_is_stored(answers: Ask, count: int) -> None:
    for number in range(count):
        item = USERS.model(user_id=str(number), username=f"u{number}", email=f"{number}@e")
        await answers(user(Operation.CREATE, item=item))
    answer = await answers(user(Operation.LIST, query=parse_query(USERS, b"limit=2")))
    body = orjson.loads(answer.body)
    assert (answer.status, headers(answer), body["message"]) == (
        200,
        {"content-type": JSON, "vary": "accept"},
        "users listed",
    )
    assert [item["user_id"] for item in body["data"]["items"]] == [str(number) for number in range(min(count, 2))]
    assert set(body["metadata"]) == {"limit", "next_cursor"}
    assert (body["metadata"]["next_cursor"] is None) is (count < 3)


async def test_list_counts_if_asked(answers: Ask) -> None:
    answer = await answers(user(Operation.LIST, query=parse_query(USERS, b"include_total=true")))
    assert orjson.loads(answer.body)["metadata"] == {"limit": 100, "next_cursor": None, "total": 0}


async def test_invalidation_says_how_many_and_takes_one_revision(answers: Ask) -> None:
    for key in "ab":
        item = CACHE.model(key=key, value=1, tags=["t"])
        await answers(user(Operation.CREATE, resource=CACHE, id=key, item=item))
    call = user(Operation.INVALIDATE, resource=CACHE, conditions=parse_invalidation(b"tag=t"))
    for deleted in (2, 0):
        answer = await answers(call)
        assert (answer.status, headers(answer)["sarvanom-revision"]) == (200, "3")
        assert orjson.loads(answer.body)["data"] == {"deleted": deleted}


async def test_stats_are_counted(answers: Ask) -> None:
    answer = await answers(user(Operation.STATS, resource=CACHE))
    body = orjson.loads(answer.body)
    assert body["message"] == "cache counted"
    assert body["data"] == {"entries": 0, "bytes": 0, "hits": 0, "misses": 0, "expirations": 0}
