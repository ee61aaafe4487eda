"""Body limits: by declaration, by count, and not at all where there is no body."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.errors import InvalidHeader, PayloadTooLarge
from sarvanom.web.middleware.body_limit import LINE_LIMIT, LINE_ROUTES, BodyLimitMiddleware
from tests.unit.web.asgi import Untouched, ask, http_scope, is_untouched, read_all

LIMIT = 10
CHUNKED = (b"transfer-encoding", b"chunked")


async def size_read(headers: Sequence[tuple[bytes, bytes]], body: Sequence[bytes], **more: Any) -> int:
    app = BodyLimitMiddleware(read_all, LIMIT)
    answer = await ask(app, http_scope("POST", headers=headers, **more), body=body)
    return int(answer.body)


@pytest.mark.parametrize("declared", [b"0", b"10", b"0010"])
async def test_a_declared_length_within_the_limit_passes(declared: bytes) -> None:
    assert await size_read([(b"host", b"x"), (b"content-length", declared)], [b"x" * int(declared)]) == int(declared)


@pytest.mark.parametrize("declared", [b"11", b"9" * 19, b"9" * 20, b"9" * 60_000])
async def test_a_declared_length_over_the_limit_is_refused_before_reading(declared: bytes) -> None:
    app = Untouched()
    with pytest.raises(PayloadTooLarge, match="at most 10 bytes"):
        await ask(BodyLimitMiddleware(app, LIMIT), http_scope("POST", headers=[(b"content-length", declared)]))
    assert not hasattr(app, "got")


@pytest.mark.parametrize("declared", [b"", b"-1", b"+1", b"1_0", b"1 ", b"1.0", b"0x1", b"1, 1", b"\xb2", b"x"])
async def test_a_length_that_is_no_number_is_refused(declared: bytes) -> None:
    with pytest.raises(InvalidHeader):
        await size_read([(b"content-length", declared)], [b""])


async def test_two_lengths_are_refused() -> None:
    with pytest.raises(InvalidHeader, match="more than once"):
        await size_read([(b"content-length", b"1"), (b"content-length", b"1")], [b"x"])


async def test_a_length_beside_a_transfer_encoding_is_refused() -> None:
    with pytest.raises(InvalidHeader, match="exclude each other"):
        await size_read([(b"content-length", b"1"), CHUNKED], [b"x"])


@pytest.mark.parametrize("body", [[b""], [b"x" * 10], [b"xxxxx", b"xxxxx"]])
async def test_a_chunked_body_within_the_limit_passes(body: list[bytes]) -> None:
    assert await size_read([CHUNKED], body) == sum(map(len, body))


@given(st.lists(st.binary(max_size=8), min_size=1))
async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(body: list[bytes]) -> None:
    size = sum(map(len, body))
    if size <= LIMIT:
        assert await size_read([CHUNKED], body) == size
    else:
        with pytest.raises(PayloadTooLarge):
            await size_read([CHUNKED], body)


LINES = (b"content-type", b"Application/X-NDJSON; charset=utf-8")
MAY_BE_LINES: dict[str, Any] = {"path": "/users", LINE_ROUTES: frozenset({("POST", "/users")})}


@pytest.mark.parametrize("length", [(b"content-length", b"40"), CHUNKED])
async def test_a_body_of_lines_may_be_of_any_length_and_tells_the_limit_of_a_line(length: tuple[bytes, bytes]) -> None:
    scope = http_scope("POST", headers=[LINES, length], **MAY_BE_LINES)
    answer = await ask(BodyLimitMiddleware(read_all, LIMIT), scope, body=[b"x" * 20, b"x" * 20])
    assert (answer.body, scope[LINE_LIMIT]) == (b"40", LIMIT)


@pytest.mark.parametrize("headers", [[(b"content-length", b"x")], [(b"content-length", b"1"), CHUNKED]])
async def test_the_length_of_a_body_of_lines_must_be_one(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidHeader):
        await size_read([LINES, *headers], [b"x"], **MAY_BE_LINES)


@pytest.mark.parametrize("length", [(b"content-length", b"11"), CHUNKED])
@pytest.mark.parametrize(
    ("method", "more"),
    [("PUT", MAY_BE_LINES), ("POST", {**MAY_BE_LINES, "path": "/users/ada"}), ("POST", {"path": "/users"})],
)
async def test_lines_that_no_route_reads_have_the_limit_of_any_body(
    method: str, more: dict[str, Any], length: tuple[bytes, bytes]
) -> None:
    scope = http_scope(method, headers=[LINES, length], **more)
    with pytest.raises(PayloadTooLarge):
        await ask(BodyLimitMiddleware(read_all, LIMIT), scope, body=[b"x" * 11])
    assert LINE_LIMIT not in scope


@pytest.mark.parametrize("others", [[LINES], [(b"content-type", b"application/json")]])
async def test_what_says_twice_what_it_is_is_refused(others: list[tuple[bytes, bytes]]) -> None:
    for headers in ([LINES, *others], [*others, LINES]):
        with pytest.raises(InvalidHeader, match="Content-Type is given more than once"):
            await size_read([*headers, CHUNKED], [b"x"], **MAY_BE_LINES)


async def test_a_later_version_of_http_needs_no_header_to_have_a_body() -> None:
    with pytest.raises(PayloadTooLarge):
        await size_read([], [b"x" * 11], http_version="2")


async def test_a_request_without_a_body_is_not_wrapped() -> None:
    app = Untouched()

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError

    await BodyLimitMiddleware(app, LIMIT)(http_scope(), receive, send)
    assert app.got[1:] == (receive, send)


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(BodyLimitMiddleware(app, LIMIT), app)
