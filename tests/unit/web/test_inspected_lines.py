"""Lines judged as they pass."""

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from sarvanom.shared.errors import ContentBlocked, FieldError
from sarvanom.web.inspected_lines import INLINE_BYTES, InspectedLines
from tests.unit.web.asgi import Answer, ask, http_scope

LIMIT = 100


def check(line: bytes) -> None:
    if b"bad" in line:
        raise ContentBlocked("It looks bad", errors=[FieldError("/name", "Looks bad")])


class Importing:
    """An application that reads lines, and answers each with a result, in chunks of a given size."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            self.body += message["body"]
            if not message.get("more_body"):
                break
        results = b"".join(
            b'{"line":%d,"status":422,"outcome":"refused"}\n' % number
            for number, line in enumerate(self.body.split(b"\n"), 1)
            if line.strip()
        )
        await send({"type": "http.response.start", "status": 200, "headers": []})
        chunks = [results[start : start + self.size] for start in range(0, len(results), self.size)]
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


async def import_lines(app: Importing, body: Sequence[bytes], limit: int = LIMIT) -> Answer:
    async def inspected(scope: Scope, receive: Receive, send: Send) -> None:
        lines = InspectedLines(check, limit, receive, send)
        await app(scope, lines.receive, lines.send)

    return await ask(inspected, http_scope("POST"), body=body)


@given(st.lists(st.binary(max_size=30), min_size=1).filter(lambda body: b"bad" not in b"".join(body)))
async def test_good_lines_pass_as_they_are(body: list[bytes]) -> None:
    app = Importing()
    await import_lines(app, body)
    assert app.body == b"".join(body)


@pytest.mark.parametrize("cut", range(1, 30))
async def test_a_bad_line_is_refused_by_itself_however_it_comes_in(cut: int) -> None:
    body = b'{"a":1}\n\n{"b":"bad"}\r\n{"c":3}'
    app = Importing()
    answer = await import_lines(app, [body[start : start + cut] for start in range(0, len(body), cut)])
    assert app.body == b'{"a":1}\n\n0\n{"c":3}'
    results = [orjson.loads(line) for line in answer.body.splitlines()]
    assert [result["line"] for result in results] == [1, 3, 4]
    assert results[1] == {
        "line": 3,
        "status": 403,
        "outcome": "refused",
        "code": "content_blocked",
        "detail": "It looks bad",
        "errors": [{"field": "/name", "message": "Looks bad"}],
    }
    assert results[0]["status"] == results[2]["status"] == 422


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
async def test_results_are_replaced_however_they_go_out(size: int) -> None:
    answer = await import_lines(Importing(size), [b"bad\n" * 20 + b"good\n"])
    results = [orjson.loads(line) for line in answer.body.splitlines()]
    assert [result["status"] for result in results] == [403] * 20 + [422]


async def test_the_last_line_needs_no_newline_to_be_judged() -> None:
    app = Importing()
    await import_lines(app, [b"good\nb", b"ad"])
    assert app.body == b"good\n0"


async def test_many_lines_at_once_are_judged_in_a_thread() -> None:
    app = Importing()
    body = b"good\n" * INLINE_BYTES + b"bad\n"
    await import_lines(app, [body])
    assert app.body == b"good\n" * INLINE_BYTES + b"0\n"


async def test_a_line_that_is_too_long_passes_unjudged_and_unheld() -> None:
    app = Importing()
    long = b"bad" * LIMIT
    await import_lines(app, [long, b"x", long + b"\nbad\n", b"y" * (LIMIT - 1) + b"bad", b"\ngood"])
    assert app.body == long + b"x" + long + b"\n0\n" + b"y" * (LIMIT - 1) + b"bad\ngood"


async def test_nothing_is_held_back_but_the_line_that_has_not_ended() -> None:
    passed: list[bytes] = []
    chunks = [b"one\ntw", b"o\nthree", b"\n", b"four"]

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        raise AssertionError

    lines = InspectedLines(check, LIMIT, receive, send)
    while not passed or passed[-1] != b"four":
        passed.append((await lines.receive())["body"])
    assert passed == [b"one\n", b"two\n", b"three\n", b"four"]


async def test_a_disconnect_passes() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError

    assert await InspectedLines(check, LIMIT, receive, send).receive() == {"type": "http.disconnect"}


async def test_an_answer_that_is_no_list_of_results_stays() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        lines = InspectedLines(check, LIMIT, receive, send)
        await lines.receive()
        await lines.send({"type": "http.response.start", "status": 503, "headers": []})
        await lines.send({"type": "http.response.body", "body": b'{"a":\n1}'})

    answer = await ask(refusing, http_scope("POST"), body=[b"bad\n"])
    assert (answer.status, answer.body) == (503, b'{"a":\n1}')
