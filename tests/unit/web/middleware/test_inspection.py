"""The middleware, over ASGI, with the body limit before it and problem details around it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp

from sarvanom.security.inspection.findings import Mode
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.observations import ContentFound, listen
from sarvanom.web.inspected_lines import INLINE_BYTES
from sarvanom.web.inspection import Inspection
from sarvanom.web.middleware.body_limit import LINE_ROUTES, BodyLimitMiddleware
from sarvanom.web.middleware.inspection import InspectionMiddleware
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.request_id import RequestIdMiddleware
from tests.unit.web.asgi import Answer, Untouched, ask, http_scope, is_untouched, read_all

JSON = (b"content-type", b"application/json")
NDJSON = (b"content-type", b"application/x-ndjson")
SQL = "ada' or 7=7 --"

type Call = Callable[..., Any]


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector()


@pytest.fixture
def found() -> Iterator[list[ContentFound]]:
    told: list[ContentFound] = []
    end = listen(ContentFound, told.append)
    yield told
    end()


@pytest.fixture
def app(inspector: Inspector, found: list[ContentFound]) -> ASGIApp:
    modes = {Profile.STRICT: Mode.BLOCK, Profile.FREE: Mode.DETECT}
    inspected = InspectionMiddleware(read_all, Inspection(inspector, modes))
    return RequestIdMiddleware(ProblemMiddleware(BodyLimitMiddleware(inspected, 2**20)))


async def send(app: ASGIApp, method: str, path: str, body: Sequence[bytes], kind: tuple[bytes, bytes] = JSON) -> Answer:
    headers = [kind, (b"content-length", b"%d" % sum(map(len, body)))]
    routes = {LINE_ROUTES: frozenset({("POST", "/users"), ("POST", "/import"), ("POST", "/elsewhere")})}
    return await ask(app, http_scope(method, path, headers=headers, **routes), body=body)


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize(("method", "path"), [("POST", "/users"), ("PUT", "/users/ada"), ("PATCH", "/users/ada")])
@pytest.mark.parametrize("size", [7, 10_000])
async def test_a_body_is_blocked_whole_or_in_parts(app: ASGIApp, method: str, path: str, size: int) -> None:
    answer = await send(app, method, path, cut(orjson.dumps({"username": SQL}), size))
    assert answer.status == 403
    assert answer.json["code"] == "content_blocked"
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert [error["field"] for error in answer.json["errors"]] == ["/username"]
    assert SQL.encode() not in answer.body


@pytest.mark.parametrize("size", [7, 10_000])
async def test_what_passes_reaches_the_application_in_full(app: ASGIApp, found: list[ContentFound], size: int) -> None:
    body = orjson.dumps({"username": "ada", "preferences": {"note": SQL}})
    answer = await send(app, "POST", "/users", cut(body, size))
    assert (answer.status, answer.body) == (200, str(len(body)).encode())
    assert [(finding.pointer, finding.action) for finding in found] == [("/preferences/note", Mode.DETECT)]


async def test_a_large_body_is_judged_too(app: ASGIApp) -> None:
    body = orjson.dumps({"preferences": {"x": "y " * INLINE_BYTES}, "username": SQL})
    assert (await send(app, "POST", "/users", [body])).status == 403


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/elsewhere"), ("DELETE", "/users/ada"), ("GET", "/users"), ("POST", "/")]
)
async def test_a_body_that_nobody_reads_as_an_item_is_not_judged(app: ASGIApp, method: str, path: str) -> None:
    answer = await send(app, method, path, [orjson.dumps({"password": SQL})])
    assert answer.status == 200


async def test_a_head_is_judged_before_anything_is_read(app: ASGIApp) -> None:
    answer = await ask(app, http_scope("GET", "/users/x' or 7=7"))
    assert (answer.status, answer.json["errors"][0]["field"]) == (403, "path")


async def test_lines_are_judged_one_by_one(app: ASGIApp, found: list[ContentFound]) -> None:
    good, bad = orjson.dumps({"username": "ada"}), orjson.dumps({"username": SQL})
    answer = await send(app, "POST", "/users", [good + b"\n" + bad + b"\n" + good + b"\n"], NDJSON)
    assert (answer.status, answer.body) == (200, str(2 * len(good) + 4).encode())
    assert [finding.action for finding in found] == [Mode.BLOCK]


async def test_an_export_that_is_restored_is_told_of_and_passes(app: ASGIApp, found: list[ContentFound]) -> None:
    line = orjson.dumps({"resource": "users", "item": {"username": SQL}})
    answer = await send(app, "POST", "/import", [line], NDJSON)
    assert (answer.status, answer.body) == (200, str(len(line)).encode())
    assert [(finding.pointer, finding.action) for finding in found] == [("/item/username", Mode.DETECT)]


async def test_lines_to_nowhere_pass(app: ASGIApp, found: list[ContentFound]) -> None:
    line = orjson.dumps({"username": SQL})
    assert (await send(app, "POST", "/elsewhere", [line], NDJSON)).status == 200
    assert found == []


async def test_lines_where_none_are_read_are_judged_as_one_text(app: ASGIApp, found: list[ContentFound]) -> None:
    answer = await send(app, "PUT", "/users/ada", [orjson.dumps({"username": SQL})], NDJSON)
    assert answer.status == 403
    assert [finding.action for finding in found] == [Mode.BLOCK]


async def test_a_caller_who_goes_away_is_not_judged(inspector: Inspector) -> None:
    async def disconnected(scope: Any, receive: Call, send: Call) -> None:
        assert await receive() == {"type": "http.disconnect"}

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError

    middleware = InspectionMiddleware(disconnected, Inspection(inspector, {}))
    await middleware(http_scope("POST", "/users", headers=[JSON]), receive, send)


async def test_other_scopes_pass_untouched(inspector: Inspector) -> None:
    app = Untouched()
    assert await is_untouched(InspectionMiddleware(app, Inspection(inspector, {})), app)
