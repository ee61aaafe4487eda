"""The gateway when crud is away, breaks off or hangs, and what an attacker can make it send there."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY, BEARER
from tests.harness.system import RunningProcess, free_port
from tests.services.answers import data_of, problem_of
from tests.services.edge_gateways import running_gateway
from tests.services.played_crud import OK, play_crud
from tests.services.raw_http import exchange, parse, statuses_in

TIMEOUT = 0.5


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A gateway in front of a port on which a test may play crud."""
    folder, seconds = tmp_path_factory.mktemp("lonely"), str(TIMEOUT)
    with running_gateway(
        folder, free_port(), SARVANOM_UPSTREAM_TIMEOUT=seconds, SARVANOM_TRUSTED_PROXIES="192.0.2.1"
    ) as running:
        yield running


@pytest.fixture
async def caller(lonely: RunningProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=lonely.gateway_url, timeout=20, headers=ADMIN_HEADERS) as client:
        yield client


async def test_without_crud_calls_are_unavailable_and_may_be_tried_again(caller: httpx2.AsyncClient) -> None:
    for answer in (
        await caller.get("/users/x"),
        await caller.get("/users"),
        await caller.put("/settings/x", json={"setting_value": 1}),
        await caller.delete("/users/x"),
        await caller.get("/cache-stats"),
    ):
        problem_of(answer, 503, "service_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_without_crud_the_gateway_lives_but_is_not_ready(caller: httpx2.AsyncClient) -> None:
    health = await caller.get("/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    ready = await caller.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert [(check["name"], check["ok"]) for check in ready.json()["checks"]] == [("crud", False)]
    assert ready.json()["checks"][0]["error"]
    problem_of(await caller.get("/health/detailed"), 503, "service_unavailable")  # nobody can say who asks
    assert (await caller.get("/docs")).status_code == 200


async def test_when_crud_comes_back_so_does_the_gateway(caller: httpx2.AsyncClient, lonely: RunningProcess) -> None:
    for _ in range(3):
        problem_of(await caller.get("/users/x"), 503, "service_unavailable")
        assert (await caller.get("/ready")).status_code == 503
        async with play_crud(lonely.crud_port):
            assert data_of(await caller.get("/users/x"), 200) == {}
            assert (await caller.get("/ready")).status_code == 200
            assert data_of(await caller.get("/users/y"), 200) == {}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
    ],
)
async def test_a_crud_that_breaks_off_is_a_bad_gateway(
    caller: httpx2.AsyncClient, lonely: RunningProcess, answer: bytes | None
) -> None:
    async with play_crud(lonely.crud_port, answer, closes=True) as crud:
        problem_of(await caller.get("/users/x"), 502, "upstream_failed")
        before = len(crud.heads)
        problem_of(await caller.post("/cache", json={"key": "x", "value": 1}), 502, "upstream_failed")
        keys = [re.findall(r"\r\nidempotency-key: (\S+)\r\n", head) for head in crud.heads[before:]]
        assert len(keys) == 2, "a POST that may have been carried out is sent again"
        assert keys[0] == keys[1] != [], "under one key"


async def test_a_crud_that_hangs_is_a_timeout(caller: httpx2.AsyncClient, lonely: RunningProcess) -> None:
    async with play_crud(lonely.crud_port, None) as crud:
        for method, path, body in (("GET", "/users/x", None), ("POST", "/cache", {"key": "x", "value": 1})):
            began = time.monotonic()
            answer = await caller.request(method, path, json=body)
            problem_of(answer, 504, "upstream_timeout")
            assert TIMEOUT * 0.9 <= time.monotonic() - began < TIMEOUT * 4
        assert len(crud.heads) == 2
        ready = await caller.get("/ready")
        assert (ready.status_code, ready.json()["checks"][0]["name"]) == (503, "crud")


async def test_the_gateway_lives_while_many_calls_hang(caller: httpx2.AsyncClient, lonely: RunningProcess) -> None:
    async with play_crud(lonely.crud_port, None):
        calls = [asyncio.create_task(caller.get(f"/users/{number}")) for number in range(90)]
        await asyncio.sleep(TIMEOUT / 2)
        began = time.monotonic()
        assert (await caller.get("/health")).status_code == 200
        assert time.monotonic() - began < TIMEOUT
        answers = await asyncio.gather(*calls)
        assert {answer.status_code for answer in answers} <= {503, 504}
    async with play_crud(lonely.crud_port):
        assert (await caller.get("/users/x")).status_code == 200


async def test_what_crud_says_of_itself_is_not_told(caller: httpx2.AsyncClient, lonely: RunningProcess) -> None:
    async with play_crud(lonely.crud_port, OK) as crud:
        answer = await caller.get("/users/x")
        assert answer.headers["etag"] == '"1"'
        assert not {"server", "x-inner"} & set(answer.headers)
        assert len(crud.heads) == 1


async def test_crud_is_told_no_more_than_it_needs(caller: httpx2.AsyncClient, lonely: RunningProcess, id: str) -> None:
    headers = {
        "x-request-id": id,
        "if-match": '"1"',
        "sarvanom-identity": "forged",
        "cookie": "a=b",
        "x-forwarded-for": "198.51.100.7",
        "x-http-method-override": "DELETE",
        "te": "trailers",
    }
    async with play_crud(lonely.crud_port) as crud:
        await caller.put("/settings/x", json={"setting_value": 1}, headers=headers)
    (head,) = crud.heads
    line, *rest = head.strip().split("\r\n")
    assert line == "PUT /settings/x HTTP/1.1"
    told = dict(entry.split(": ", 1) for entry in rest)
    assert told.keys() == {
        "host", "x-request-id", "if-match", "content-type", "content-length", "idempotency-key", "sarvanom-identity",
    }  # fmt: skip
    assert "forged" not in head
    assert ADMIN_KEY not in head
    assert (told["x-request-id"], told["if-match"]) == (id, '"1"')


async def test_a_call_that_is_not_valid_but_for_its_body_never_reaches_crud(
    caller: httpx2.AsyncClient, lonely: RunningProcess
) -> None:
    async with play_crud(lonely.crud_port) as crud:
        answers = [
            await caller.get("/users?nothing=1"),
            await caller.post("/users?nothing=1", json={}),
            await caller.post("/users", content=b"{}", headers={"content-type": "text/plain"}),
            await caller.put("/users/%00", json={"username": "x", "email": "x@example.org"}),
            await caller.get("/users/%00"),
            await caller.delete("/cache"),
            await caller.patch("/users/x", json={}, headers={"if-match": "1"}),
            await caller.post("/users/x"),
        ]
    assert [answer.status_code for answer in answers] == [422, 422, 415, 422, 422, 422, 400, 405]
    assert crud.heads == []


BODY = b'{"key": "smuggled", "value": 1}'
SECOND = b"DELETE /cache/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BEARER + b"\r\n"


def post(headers: bytes, rest: bytes) -> bytes:
    return (
        b"POST /cache HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        + BEARER
        + headers
        + b"\r\n\r\n"
        + rest
    )


SMUGGLED = {
    "length and chunked": post(b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SECOND),
    "chunked and length": post(b"Transfer-Encoding: chunked\r\nContent-Length: 6", b"0\r\n\r\n" + SECOND),
    "two lengths": post(b"Content-Length: %d\r\nContent-Length: 0" % len(BODY), BODY + SECOND),
    "two lengths in one": post(b"Content-Length: %d, 0" % len(BODY), BODY + SECOND),
    "the same length twice": post(b"Content-Length: %d\r\nContent-Length: %d" % (len(BODY), len(BODY)), BODY + SECOND),
    "a signed length": post(b"Content-Length: +%d" % len(BODY), BODY + SECOND),
    "a negative length": post(b"Content-Length: -1", SECOND),
    "a hexadecimal length": post(b"Content-Length: 0x1f", BODY + SECOND),
    "a length with a space": post(b"Content-Length: 3 1", BODY + SECOND),
    "a space before the colon": post(b"Content-Length : 0", SECOND),
    "a folded header": post(b"Content-Length: 0\r\nX-A: b\r\n c", SECOND),
    "a folded encoding": post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 0", SECOND),
    "a first line that is folded": b"GET /cache/x HTTP/1.1\r\n Host: 127.0.0.1\r\n" + BEARER + b"\r\n" + SECOND,
    "bare line feeds": post(b"Content-Length: 0", SECOND).replace(b"\r\n", b"\n"),
    "a bare line feed in a value": post(b"X-A: b\nContent-Length: %d" % len(SECOND), SECOND),
    "a bare carriage return": post(b"X-A: b\rContent-Length: %d" % len(SECOND), SECOND),
    "a null byte": post(b"X-A: b\0\r\nContent-Length: 0", SECOND),
    "an unknown encoding": post(b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + SECOND),
    "an encoding that does not end in chunked": post(b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n" + SECOND),
    "an encoding with a tab": post(b"Transfer-Encoding:\tchunked\r\nContent-Length: 0", b"0\r\n\r\n" + SECOND),
    "a vertical tab": post(b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n" + SECOND),
    "two encodings": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n" + SECOND),
    "a chunk with a bare line feed": post(b"Transfer-Encoding: chunked", b"1f\n" + BODY + b"\n0\n\n" + SECOND),
    "a chunk of negative size": post(b"Transfer-Encoding: chunked", b"-1\r\n" + SECOND),
    "a chunk of overlong size": post(
        b"Transfer-Encoding: chunked", b"1000000000000001f\r\n" + BODY + b"\r\n0\r\n\r\n" + SECOND
    ),
    "a chunk that is longer than it says": post(
        b"Transfer-Encoding: chunked", b"1\r\n" + BODY + b"\r\n0\r\n\r\n" + SECOND
    ),
}


@pytest.mark.parametrize("shape", SMUGGLED)
async def test_a_request_of_two_readings_is_refused_and_nothing_after_it_is_read(
    lonely: RunningProcess, shape: str
) -> None:
    async with play_crud(lonely.crud_port) as crud:
        answer = await asyncio.to_thread(exchange, lonely.gateway_port, SMUGGLED[shape], quiet=0.3)
    assert statuses_in(answer) == [400]
    refused = parse(answer)
    assert refused.headers["connection"] == "close"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] in ("malformed_request", "invalid_header")
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert crud.heads == []


async def test_a_body_that_looks_like_a_request_is_a_body(lonely: RunningProcess) -> None:
    body = b'{"key": "x", "value": "\\r\\n\\r\\nDELETE /cache/smuggled HTTP/1.1\\r\\n"}'
    sent = post(b"Content-Length: %d" % len(body), body)
    async with play_crud(lonely.crud_port) as crud:
        answer = await asyncio.to_thread(exchange, lonely.gateway_port, sent, quiet=0.3)
    assert (statuses_in(answer), len(crud.heads)) == ([200], 1)


async def test_requests_in_a_row_are_answered_in_their_order(lonely: RunningProcess) -> None:
    """Pipelining is no smuggling: three requests, three answers, and crud sees those three."""
    head = b"GET /users/%d HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: r%d\r\n" + BEARER + b"\r\n"
    row = b"".join(head % (n, n) for n in range(3))
    async with play_crud(lonely.crud_port) as crud:
        answer = await asyncio.to_thread(exchange, lonely.gateway_port, row, quiet=0.3)
    assert statuses_in(answer) == [200, 200, 200]
    assert re.findall(rb"x-request-id: (\S+)", answer) == [b"r0", b"r1", b"r2"]
    assert [head.split(" ")[1] for head in crud.heads] == ["/users/0", "/users/1", "/users/2"]


async def test_a_proxy_that_is_not_on_the_list_is_not_believed(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/health", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers
