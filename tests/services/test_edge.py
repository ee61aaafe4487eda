"""The gateway's edge, as browsers, proxies and strangers meet it."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY, BEARER
from tests.harness.system import RunningProcess
from tests.services.answers import data_of, item_of, problem_of
from tests.services.edge_gateways import running_gateway
from tests.services.raw_http import ask, exchange, parse, statuses_in

ORIGIN = "https://app.example"
MIB = 2**20
PROMISED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def edge(system: RunningProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A second gateway of the same system: behind a proxy, for a web page, under names of its own."""
    settings = {
        "SARVANOM_TRUSTED_PROXIES": "127.0.0.1",
        "SARVANOM_CORS_ORIGINS": f"{ORIGIN}, https://other.example",
        "SARVANOM_TRUSTED_HOSTS": "127.0.0.1, api.example.org, *.wild.example, ::1",
        "SARVANOM_MAX_BODY_BYTES": "2048",
    }
    with running_gateway(tmp_path_factory.mktemp("edge"), system.crud_port, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def page(edge: RunningProcess) -> Iterator[httpx2.Client]:
    """A client of the second gateway."""
    with httpx2.Client(base_url=edge.gateway_url, headers=ADMIN_HEADERS) as client:
        yield client


def log_lines(process: RunningProcess, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the lines of the log that bear this request's id; they are written soon after the answer."""
    deadline = time.monotonic() + 5
    while True:
        lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
        found = [line for line in lines if line.get("request_id") == request_id]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def test_every_answer_tells_browsers_what_not_to_do(gateway: httpx2.Client, id: str) -> None:
    body = {"setting_key": id, "setting_value": 1}
    answers = [
        gateway.post("/settings", json=body),
        gateway.get(f"/settings/{id}"),
        gateway.head(f"/settings/{id}"),
        gateway.get(f"/settings/{id}", headers={"if-none-match": "*"}),
        gateway.get("/settings?limit=1"),
        gateway.put(f"/settings/{id}", json=body, headers={"if-match": '"0"'}),
        gateway.post("/settings", json=body),
        gateway.post("/settings", content=b"{"),
        gateway.post("/settings", json={}),
        gateway.patch("/settings"),
        gateway.delete(f"/settings/{id}"),
        gateway.get(f"/settings/{id}"),
        gateway.get("/nothing"),
        gateway.get("/health"),
        gateway.get("/ready"),
        gateway.get("/openapi.json"),
        gateway.get("/docs"),
        gateway.get("/docs/assets/init.js"),
        gateway.get("/health", headers={"host": "evil.example"}),
    ]
    statuses = [answer.status_code for answer in answers]
    expected = [201, 200, 200, 304, 200, 412, 409, 415, 422, 405, 204, 404, 404, 200, 200, 200, 200, 200, 400]
    assert statuses == expected
    for answer in answers:
        headers = answer.headers
        assert {name: headers.get(name) for name in PROMISED} == PROMISED
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "camera=()" in headers["permissions-policy"]
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert headers["x-request-id"]
        assert not {"server", "x-powered-by", "strict-transport-security", "access-control-allow-origin"} & set(headers)
        assert len(headers.multi_items()) == len(headers)


def test_a_stranger_is_not_believed_to_come_over_tls(gateway: httpx2.Client) -> None:
    for path in ("/health", "/nothing", "/docs"):
        answer = gateway.get(path, headers={"x-forwarded-proto": "https", "forwarded": "proto=https"})
        assert "strict-transport-security" not in answer.headers


def test_a_trusted_proxy_is_believed_to_have_come_over_tls(page: httpx2.Client) -> None:
    for path in ("/health", "/nothing", "/docs", "/users"):
        over_tls = page.get(path, headers={"x-forwarded-proto": "https"})
        assert over_tls.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        for proto in ("http", ""):
            answer = page.get(path, headers={"x-forwarded-proto": proto})
            assert "strict-transport-security" not in answer.headers
        assert "strict-transport-security" not in page.get(path).headers


def test_the_client_in_the_log_is_the_one_that_a_trusted_proxy_names(
    page: httpx2.Client, edge: RunningProcess, gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    headers = {"x-request-id": id, "x-forwarded-for": "198.51.100.7"}
    page.get("/health", headers=headers)
    gateway.get("/health", headers=headers)
    assert [line["client"] for line in log_lines(edge, id)] == ["198.51.100.7"]
    assert [line["client"] for line in log_lines(system, id)] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:80",
        "api.example.org",
        "API.Example.ORG",
        "api.example.org.",
        "a.wild.example:65535",
        "[::1]:1",
    ],
)
def test_a_name_of_its_own_is_answered(edge: RunningProcess, host: str) -> None:
    answer = exchange(edge.gateway_port, f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert parse(answer).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api.example.org.evil.example",
        "xapi.example.org",
        "wild.example",
        "localhost",
        "",
        "127.0.0.1@evil.example",
        "127.0.0.1/evil",
        "127.0.0.1:65536",
        "127.0.0.1:80x",
        "127.0.0.1, evil.example",
        "[::1",
        "127.1",
        "2130706433",
        "a b",
        "api.example.org\x00",
        "\xe4.wild.example",
    ],
)
def test_a_forged_name_is_refused(edge: RunningProcess, host: str) -> None:
    sent = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1")
    answer = parse(exchange(edge.gateway_port, sent))
    assert answer.status == 400
    assert host not in answer.body.decode() or not host


def test_there_is_one_name_in_a_request(edge: RunningProcess) -> None:
    for hosts in ("", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nhost: evil.example\r\n"):
        sent = f"GET /health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode()
        answer = parse(exchange(edge.gateway_port, sent))
        assert (answer.status, answer.json()["code"]) == (400, "untrusted_host")


def test_a_forwarded_host_changes_nothing(page: httpx2.Client, id: str) -> None:
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "x-forwarded-prefix": "/evil"}
    created = page.post("/settings", json={"setting_key": id, "setting_value": 1}, headers=headers)
    assert created.status_code == 201
    assert "evil" not in str(created.headers) + created.text


def preflight(client: httpx2.Client, origin: str, method: str = "PUT", asked: str = "content-type,if-match") -> Any:
    headers = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": asked}
    return client.options("/settings/x", headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_page_of_an_allowed_origin_may_call(page: httpx2.Client, method: str) -> None:
    answer = preflight(page, ORIGIN, method)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert {"content-type", "if-match"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()


def test_a_page_of_an_allowed_origin_reads_answers_errors_and_headers(page: httpx2.Client, id: str) -> None:
    headers = {"origin": ORIGIN}
    body = {"setting_key": id, "setting_value": 1}
    answers = [
        page.post("/settings", json=body, headers=headers),
        page.post("/settings", json=body, headers=headers),
        page.post("/settings", json={**body, "setting_value": "x" * 4096}, headers=headers),
        page.get("/settings?limit=x", headers=headers),
        page.get("/nothing", headers=headers),
        page.get("/health", headers={**headers, "host": "evil.example"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 413, 422, 404, 400]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = answer.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
        assert {"etag", "location", "sarvanom-revision", "x-request-id", "retry-after"} <= set(exposed)
        assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example", "https://app.example:8443", ""]
)
def test_a_page_of_another_origin_may_not(page: httpx2.Client, gateway: httpx2.Client, origin: str) -> None:
    for client in (page, gateway):
        assert "access-control-allow-origin" not in preflight(client, origin).headers
        assert "access-control-allow-origin" not in client.get("/health", headers={"origin": origin}).headers


def test_a_gateway_without_allowed_origins_has_no_preflight(gateway: httpx2.Client) -> None:
    answer = preflight(gateway, ORIGIN)
    problem_of(answer, 405, "method_not_allowed")


def sized_body(id: str, size: int) -> bytes:
    """Return a valid setting of exactly this many bytes."""
    start, end = f'{{"setting_key": "{id}", "setting_value": "'.encode(), b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def in_chunks(body: bytes, size: int = 65_536) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post_head(framing: str) -> bytes:
    return (
        f"POST /settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{BEARER.decode()}"
        f"Connection: close\r\n{framing}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_ten_mebibytes_is_taken(
    system: RunningProcess, gateway: httpx2.Client, id: str, chunked: bool
) -> None:
    body = sized_body(id, 10 * MIB)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    answer = parse(exchange(system.gateway_port, post_head(framing) + (in_chunks(body) if chunked else body)))
    assert answer.status == 201
    assert len(item_of(gateway.get(f"/settings/{id}"), 200)["setting_value"]) > 10 * MIB - 200


@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_more_is_refused(system: RunningProcess, gateway: httpx2.Client, id: str, chunked: bool) -> None:
    body = sized_body(id, 10 * MIB + 1)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    answer = parse(exchange(system.gateway_port, post_head(framing) + (in_chunks(body) if chunked else body)))
    assert (answer.status, answer.json()["code"]) == (413, "payload_too_large")
    problem_of(gateway.get(f"/settings/{id}"), 404, "not_found")


@pytest.mark.parametrize("length", ["10485761", "99999999999", "18446744073709551615", "9" * 18])
def test_a_length_that_is_too_large_is_refused_before_the_body_comes(system: RunningProcess, length: str) -> None:
    answer = parse(exchange(system.gateway_port, post_head(f"Content-Length: {length}")))
    assert answer.status == 413


def test_the_rest_of_a_refused_body_is_no_request(edge: RunningProcess) -> None:
    """Keep-alive: what follows the part that broke the limit must never be read as requests."""
    smuggled = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = post_head("Transfer-Encoding: chunked").replace(b"Connection: close\r\n", b"")
    sent = head + in_chunks(b"x" * 4096, 1024)[:-5] + in_chunks(smuggled * 50)
    assert statuses_in(exchange(edge.gateway_port, sent, quiet=0.3)) == [413]
    head = post_head(f"Content-Length: {len(smuggled) * 100}").replace(b"Connection: close\r\n", b"")
    assert statuses_in(exchange(edge.gateway_port, head + smuggled * 100, quiet=0.3)) == [413]


def test_an_endless_head_is_cut_off(edge: RunningProcess) -> None:
    """A head has no business being megabytes long; a server that reads on and on can be made to run out of memory."""
    line = b"X-Filler: " + b"x" * 8000 + b"\r\n"
    sent = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line * 1024
    answer = exchange(edge.gateway_port, sent, quiet=1.0)
    assert statuses_in(answer) in ([400], [413], [431])


def test_endless_trailers_are_cut_off(edge: RunningProcess) -> None:
    """What follows the last chunk is headers again (RFC 9112, 7.1.2), and is to be bounded like them."""
    line = b"X-Filler: " + b"x" * 8000 + b"\r\n"
    head = post_head("Transfer-Encoding: chunked")
    sent = head + b"2\r\n{}\r\n0\r\n" + line * 1024
    answer = exchange(edge.gateway_port, sent, quiet=1.0)
    assert [status for status in statuses_in(answer) if status >= 400]


def test_a_head_after_a_large_body_is_measured_alone(edge: RunningProcess) -> None:
    """Pipelining: the end of a body and the start of the next head may come in one read."""
    body = sized_body("unused", 1900)
    first = post_head(f"Content-Length: {len(body)}").replace(b"Connection: close\r\n", b"")
    second = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    row = first + body
    sent = row * 100 + second
    with socket.create_connection(("127.0.0.1", edge.gateway_port), timeout=20) as connection:
        connection.sendall(sent[:-30])
        time.sleep(0.2)
        connection.sendall(sent[-30:])
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    statuses = statuses_in(bytes(received))
    assert len(statuses) == 101
    assert statuses[-1] == 200


LINE = {"timestamp", "level", "event", "service", "request_id", "method", "route", "status"}
LINE |= {"duration_ms", "bytes", "client", "principal", "instance"}


def test_a_log_line_says_what_happened_and_not_to_what(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    secret = f"secret-{id}"
    headers = {"x-request-id": id, "cookie": secret, "user-agent": secret}
    answer = gateway.get(f"/users/{secret}", headers=headers)
    problem_of(answer, 404, "not_found")
    (line,) = log_lines(system, id)
    assert set(line) == LINE
    assert (line["event"], line["service"], line["level"]) == ("request", "gateway", "info")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/users/{user_id}", 404)
    assert line["bytes"] == len(answer.content)
    assert 0 < line["duration_ms"] < 10_000
    gateway.get(f"/users?email={secret}", headers=headers)
    gateway.get(f"/{secret}", headers=headers)
    gateway.post("/users", json={"user_id": secret, "username": secret, "email": secret}, headers=headers)
    assert len(log_lines(system, id, 4)) == 4
    assert secret not in system.log.read_text()
    assert ADMIN_KEY not in system.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/settings?limit=1", "/settings", 200),
        ("HEAD", "/settings", "/settings", 200),
        ("DELETE", "/settings", "/settings", 405),
        ("GET", "/settings/%00", "/settings/{setting_key}", 422),
        ("DELETE", "/cache", "/cache", 422),
        ("GET", "/cache-stats", "/cache-stats", 200),
        ("GET", "/health", "/health", 200),
        ("GET", "/health/detailed", "/health/detailed", 200),
        ("GET", "/docs", "/docs", 200),
        ("GET", "/wp-admin/secret", "unmatched", 404),
        ("GET", "/users/", "unmatched", 404),
    ],
)
def test_the_log_names_the_route(
    gateway: httpx2.Client, system: RunningProcess, id: str, method: str, path: str, route: str, status: int
) -> None:
    gateway.request(method, path, headers={"x-request-id": id})
    (line,) = log_lines(system, id)
    assert (line["method"], line["route"], line["status"]) == (method, route, status)


def test_the_whole_log_is_json(edge: RunningProcess, system: RunningProcess) -> None:
    """But for what the parent tells whoever started it, on standard error."""
    exchange(edge.gateway_port, b"no HTTP at all\r\n\r\n")
    assert [line for line in edge.log.read_text().splitlines() if not isinstance(json.loads(line), dict)] == []
    services = system.log.read_text().split("Ctrl-C stops both.")[-1].splitlines()
    assert [line for line in services if line and not line.startswith("{")] == []


def test_conditions_and_revisions_pass_the_gateway(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    created = gateway.put(f"/settings/{id}", json={"setting_value": 1}, headers={"if-none-match": "*"})
    assert data_of(created, 201)["setting_key"] == id
    answer = ask(system.gateway_port, f"/settings/{id}", headers=[f"If-None-Match: W/{created.headers['etag']}"])
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", created.headers["etag"])
