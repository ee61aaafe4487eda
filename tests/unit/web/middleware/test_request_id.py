"""Request ids: taken, made, answered and bound to log lines."""

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from sarvanom.shared.trace_context import RequestNotes, current_notes
from sarvanom.web.middleware.request_id import NOTES, RequestIdMiddleware, _random_ids, request_id
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched

WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,128}")


async def answered_id(*headers: tuple[bytes, bytes]) -> str:
    answer = await ask(RequestIdMiddleware(Replying()), http_scope(headers=headers))
    assert request_id(answer.scope) == answer.headers["x-request-id"]
    return answer.headers["x-request-id"]


@pytest.mark.parametrize("id", [b"a", b"0" * 128, b"trace:4f.2-9_Z"])
async def test_a_well_formed_id_is_taken(id: bytes) -> None:
    assert await answered_id((b"accept", b"*/*"), (b"x-request-id", id)) == id.decode()


@pytest.mark.parametrize("id", [b"", b"0" * 129, b"a b", b"a\n", b"a\r\nx: y", b"\xc3\xa9", b"<script>", b'"'])
async def test_any_other_id_is_replaced(id: bytes) -> None:
    made = await answered_id((b"x-request-id", id))
    assert re.fullmatch("[0-9a-f]{32}", made)


@given(st.binary(max_size=140))
async def test_what_is_answered_is_always_well_formed(id: bytes) -> None:
    answered = await answered_id((b"x-request-id", id))
    assert WELL_FORMED.fullmatch(answered)
    assert (answered == id.decode("latin-1")) == bool(WELL_FORMED.fullmatch(id.decode("latin-1")))


async def test_ids_that_are_made_differ() -> None:
    app = RequestIdMiddleware(Replying())
    ids = {(await ask(app)).headers["x-request-id"] for _ in range(100)}
    assert len(ids) == 100


def test_random_ids_go_on_past_a_block() -> None:
    assert len(set(islice(_random_ids(), 1000))) == 1000


async def test_the_id_of_an_inner_service_is_not_answered_twice() -> None:
    inner = Replying((b"x-request-id", b"inner"), (b"etag", b'"1"'))
    answer = await ask(RequestIdMiddleware(inner), http_scope(headers=[(b"x-request-id", b"outer")]))
    assert answer.headers == {"etag": '"1"', "x-request-id": "outer"}


async def test_a_message_that_the_application_keeps_is_not_changed() -> None:
    app = Replying((b"etag", b'"1"'))
    await ask(RequestIdMiddleware(app))
    assert app.start["headers"] == [(b"etag", b'"1"')]


async def test_an_answer_without_headers_gets_the_id() -> None:
    app = Replying()
    del app.start["headers"]
    assert (await ask(RequestIdMiddleware(app))).headers["x-request-id"]


async def test_log_lines_of_the_task_know_the_id() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((current_notes.get(), scope[NOTES]))

    await ask(RequestIdMiddleware(app), http_scope(headers=[(b"x-request-id", b"abc")]))
    [(notes, kept)] = seen
    assert notes is kept
    assert notes.request_id == "abc"


def test_without_the_middleware_there_is_no_id() -> None:
    assert request_id(http_scope()) == ""
    assert request_id({NOTES: RequestNotes("x")}) == "x"


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(RequestIdMiddleware(app), app)
