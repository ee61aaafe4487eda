"""Requests that two readers may read in two ways: each is refused once and ends its connection, or is one request."""

import re
import socket
from collections.abc import Iterator
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import PROOF, prove
from tests.harness.system import RunningProcess
from tests.services.raw_http import exchange, parse, statuses_in

HOST = b"Host: 127.0.0.1\r\n"
NEXT = b"GET /health HTTP/1.1\r\n" + HOST + b"X-Request-ID: the-next\r\n\r\n"
LAST = NEXT[:-2] + b"Connection: close\r\n\r\n"
PROVEN = PROOF.removesuffix(b"\r\n")
BODY = b'{"value": 1}'
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
BOTH = pytest.mark.parametrize("port", ["gateway_port", "crud_port"])


def get(target: bytes = b"/health", *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"%b %b %b\r\n%b%b\r\n" % (method, target, version, HOST, lines)


def put(framing: bytes, body: bytes) -> bytes:
    return (
        b"PUT /cache/ID HTTP/1.1\r\n"
        + HOST
        + PROOF
        + b"Content-Type: application/json\r\nIf-None-Match: *\r\n"
        + framing
        + b"\r\n\r\n"
        + body
    )


def post(media_type: bytes) -> bytes:
    """The head of a request whose chunks are to come."""
    return b"POST /settings HTTP/1.1\r\n%b%bContent-Type: %b\r\n%b\r\n\r\n" % (HOST, PROOF, media_type, CHUNKED)


REFUSED = {
    "length and chunks": put(LENGTH + b"\r\n" + CHUNKED, CHUNKS),
    "chunks and length": put(CHUNKED + b"\r\n" + LENGTH, CHUNKS),
    "a folded encoding": put(b"Transfer-Encoding:\r\n chunked", CHUNKS),
    "a folded header": get(b"/health", b"X-A: b\r\n c"),
    "two lengths": put(LENGTH + b"\r\nContent-Length: 2", BODY),
    "the same length twice": put(LENGTH + b"\r\n" + LENGTH, BODY),
    "a list of lengths": put(LENGTH + b", 12", BODY),
    "a signed length": put(b"Content-Length: +12", BODY),
    "a length of no digits": put(b"Content-Length:", BODY),
    "a space before the colon": put(b"Content-Length : 12", BODY),
    "an unknown encoding": put(b"Transfer-Encoding: xchunked", CHUNKS),
    "an encoding before the chunks": put(b"Transfer-Encoding: gzip, chunked", CHUNKS),
    "chunks in chunks": put(b"Transfer-Encoding: chunked, chunked", CHUNKS),
    "chunks twice": put(CHUNKED + b"\r\n" + CHUNKED, CHUNKS),
    "chunks in HTTP/1.0": put(CHUNKED, CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a vertical tab": put(b"Transfer-Encoding: \x0bchunked", CHUNKS),
    "a line feed in an extension": put(CHUNKED, CHUNKS.replace(b"c\r\n", b"c;a\nb\r\n", 1)),
    "a line feed after a size": put(CHUNKED, CHUNKS.replace(b"\r\n", b"\n")),
    "a size in C": put(CHUNKED, b"0x" + CHUNKS),
    "a chunk longer than its size": put(CHUNKED, b"1" + CHUNKS[1:]),
    "a length behind the chunks": put(CHUNKED, CHUNKS[:-2] + b"Content-Length: 9\r\n\r\n"),
    "bare line feeds": get().replace(b"\r\n", b"\n"),
    "a bare line feed in a value": get(b"/health", b"X-A: b\nX-C: d"),
    "a bare carriage return": get(b"/health", b"X-A: b\rX-C: d"),
    "NUL in a value": get(b"/health", b"X-A: b\0c"),
    "NUL in a name": get(b"/health", b"X\0A: b"),
    "a space in a name": get(b"/health", b"X A: b"),
    "a header without a colon": get(b"/health", b"XA"),
    "a folded first line": b"GET /health HTTP/1.1\r\n " + HOST + b"\r\n",
    "a URL of another host": get(b"http://evil.example/health"),
    "a URL of another port": get(b"http://127.0.0.1:1/health"),
    "a URL with a user": get(b"http://127.0.0.1@evil.example/health"),
    "a URL of another scheme": get(b"ftp://127.0.0.1/health"),
    "a URL without a path": get(b"http://127.0.0.1"),
    "an authority": get(b"127.0.0.1:80"),
    "a tunnel": get(b"127.0.0.1:80", method=b"CONNECT"),
    "a tunnel to a path": get(b"/health", method=b"CONNECT"),
    "an asterisk": get(b"*", method=b"OPTIONS"),
    "a fragment": get(b"/health#x"),
    "a byte beyond ASCII in a path": get(b"/users/\xe4"),
    "a byte beyond ASCII in a query": get(b"/users?limit=\xff"),
    "a tab in a target": get(b"/users/\tx"),
    "HTTP/0.9": b"GET /health\r\n",
    "a version of 0.9": get(version=b"HTTP/0.9"),
    "a version of 1.2": get(version=b"HTTP/1.2"),
    "a version of 2.0": get(version=b"HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(100),
    "a method in lower case": get(method=b"get"),
    "a method that nobody knows": get(method=b"SMUGGLE"),
}

READ = {
    "a length": put(LENGTH, BODY),
    "chunks": put(CHUNKED, CHUNKS),
    "chunks in capitals": put(b"Transfer-Encoding: CHUNKED", CHUNKS),
    "chunks with extensions": put(CHUNKED, CHUNKS.replace(b"c\r\n", b'c;a=b;d="e"\r\n', 1)),
    "chunks with a trailer": put(CHUNKED, CHUNKS[:-2] + b"X-Request-ID: trailer\r\n\r\n"),
    "a length by another name": put(b"Content_Length: 2\r\n" + LENGTH, BODY),
    "a body that was announced": put(b"Expect: 100-continue\r\n" + LENGTH, BODY),
    "an upgrade with a length": put(UPGRADE + LENGTH, BODY),
    "an upgrade with chunks": put(UPGRADE + CHUNKED, CHUNKS),
}


@pytest.fixture
def next_id(gateway: httpx2.Client) -> Iterator[str]:
    """The id of a cache entry that is removed afterwards."""
    id = uuid4().hex
    yield id
    gateway.delete(f"/cache/{id}")


@BOTH
@pytest.mark.parametrize("shape", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_once_and_nothing_after_it_is_read(
    system: RunningProcess, gateway: httpx2.Client, next_id: str, shape: str, port: str
) -> None:
    sent = prove(REFUSED[shape].replace(b"ID", next_id.encode())) + NEXT
    answer = exchange(getattr(system, port), sent)
    assert statuses_in(answer) == [400]
    refused = parse(answer)
    assert (refused.headers["connection"], refused.json()["code"]) == ("close", "malformed_request")
    assert refused.json()["request_id"] == refused.headers["x-request-id"] != "the-next"
    assert gateway.get(f"/cache/{next_id}").status_code == 404


@BOTH
@pytest.mark.parametrize("shape", READ)
def test_what_can_be_read_in_one_way_is_one_request(
    system: RunningProcess, next_id: str, shape: str, port: str
) -> None:
    sent = prove(READ[shape].replace(b"ID", next_id.encode())) + LAST
    answer = exchange(getattr(system, port), sent).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    assert statuses_in(answer) == [201, 200]
    assert re.findall(rb"x-request-id: (\S+)", answer)[1:] == [b"the-next"]
    assert b"trailer" not in answer


@BOTH
@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (NEXT * 20 + LAST, [200] * 21),
        (b"\r\n\r\n" + LAST, [200]),
        (get(b"http://127.0.0.1/health") + LAST, [200, 200]),
        (get(b"//127.0.0.1/health") + LAST, [401, 200]),
        (get(b"//127.0.0.1/health", PROVEN) + LAST, [404, 200]),
        (get(b"/health", b"Content-Length: %d" % len(NEXT)) + NEXT + LAST, [200, 200]),
        (get(b"/health", UPGRADE[:-2]) + LAST, [200, 200]),
        (get(b"/health", UPGRADE[:-2]) * 50 + LAST, [200] * 51),
        (get(b"/health", UPGRADE[:-2], b"Content-Length: 0") + LAST, [200, 200]),
        (get(b"/health", b"Connection: Upgrade", b"Upgrade: websocket") + LAST, [200, 200]),
        (get(b"/health", b"Connection: close") + NEXT, [200]),
        (get(b"/health", version=b"HTTP/1.0") + NEXT, [200]),
    ],
)
def test_requests_in_a_row_have_one_answer_each(
    system: RunningProcess, sent: bytes, statuses: list[int], port: str
) -> None:
    assert statuses_in(exchange(getattr(system, port), prove(sent))) == statuses


@BOTH
@pytest.mark.parametrize("bad", [b"\0\0\0\r\n\r\n", put(CHUNKED, b"zz\r\n"), put(UPGRADE + CHUNKED, b"zz\r\n")])
def test_what_came_before_a_refused_request_is_answered_before_it(
    system: RunningProcess, bad: bytes, port: str
) -> None:
    """The list takes longer than the refusal: its answer must not be taken for that of the other."""
    for before in (NEXT, get(b"/settings?limit=1000", PROVEN)):
        assert statuses_in(exchange(getattr(system, port), prove(before + bad) + NEXT)) == [200, 400]


@BOTH
def test_a_body_that_breaks_while_it_is_answered_breaks_the_answer_off(system: RunningProcess, port: str) -> None:
    """An import has begun to answer: an error in the midst of its lines would be taken for one of them."""
    with_line = prove(post(b"application/x-ndjson")) + b"2\r\n{}\r\n"
    with socket.create_connection(("127.0.0.1", getattr(system, port)), timeout=10) as connection:
        connection.sendall(with_line + b"1\r\n\n\r\n")
        received = connection.recv(65_536)
        connection.sendall(b"zz\r\n" + NEXT)
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
    assert statuses_in(received) == [200]
    assert not received.endswith(b"0\r\n\r\n")


@BOTH
def test_a_body_that_breaks_after_its_answer_has_no_second_one(system: RunningProcess, port: str) -> None:
    head = prove(post(b"text/plain"))
    with socket.create_connection(("127.0.0.1", getattr(system, port)), timeout=10) as connection:
        connection.sendall(head)
        received = connection.recv(65_536)
        connection.sendall(b"zz\r\n" + NEXT)
        while piece := connection.recv(65_536):
            received += piece
    assert statuses_in(received) == [415]


@BOTH
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (get(b"/users/" + b"x" * 40_000), 414, "target_too_long"),
        (get(b"/users?limit=1&" + b"x" * 40_000), 414, "target_too_long"),
        (get(b"/health", b"X-A: " + b"x" * 17_000), 431, "head_too_large"),
        (get(b"/health", b"X-" + b"x" * 17_000 + b": a"), 431, "head_too_large"),
        (get(b"/health", *[b"X-%d: %b" % (n, b"x" * 8_000) for n in range(9)]), 431, "head_too_large"),
        (get(b"/health", *[b"X-%d: x" % n for n in range(100)]), 431, "head_too_large"),
        (get(b"/health", b"X-A: " + b"x" * 900_000), 431, "head_too_large"),
        (b"\r\n" * 50_000, 431, "head_too_large"),
    ],
    ids=["path", "query", "value", "name", "sum", "count", "endless", "empty lines"],
)
def test_a_head_has_its_bounds(system: RunningProcess, sent: bytes, status: int, code: str, port: str) -> None:
    answer = exchange(getattr(system, port), sent)
    assert statuses_in(answer) == [status]
    refused = parse(answer)
    assert (refused.json()["code"], refused.headers["content-type"]) == (code, "application/problem+json")


@BOTH
def test_a_head_within_its_bounds_is_read(system: RunningProcess, port: str) -> None:
    long = get(b"/health", *[b"X-%d: %b" % (n, b"x" * 15_000) for n in range(4)], b"Connection: close")
    many = get(b"/health", *[b"X-%d: x" % n for n in range(98)], b"Connection: close")
    query = get(b"/health?" + b"x" * 30_000, b"Connection: close")
    assert [parse(exchange(getattr(system, port), sent)).status for sent in (long, many, query)] == [200, 200, 200]
