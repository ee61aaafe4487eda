"""What one caller can make the services hold: answers, documents, trailers; and what a clean stop leaves behind."""

import contextlib
import shutil
import socket
from pathlib import Path
from uuid import uuid4

import apsw
import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, BEARER, SignedRequests
from tests.harness.system import RunningProcess, running_crud
from tests.services.raw_http import ask, exchange


@pytest.mark.parametrize("port", ["gateway_port", "crud_port"])
def test_a_body_of_countless_unknown_fields_is_refused_in_few_words(system: RunningProcess, port: str) -> None:
    body = "{" + ",".join(f'"k{number}": 0' for number in range(100_000)) + "}"
    answer = httpx2.post(
        f"http://127.0.0.1:{getattr(system, port)}/settings",
        content=body,
        headers={"content-type": "application/json", **ADMIN_HEADERS},
        auth=SignedRequests(),
        timeout=60,
    )
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1
    assert len(answer.content) < 1000


def test_a_long_name_is_cut_short_in_the_answer(system: RunningProcess) -> None:
    answer = httpx2.get(f"{system.gateway_url}/users?{'n' * 5000}=1", headers=ADMIN_HEADERS)
    assert answer.status_code == 422
    assert len(answer.json()["errors"][0]["field"]) == 256


def test_patches_cannot_grow_a_resource_beyond_what_can_be_read(system: RunningProcess) -> None:
    url = f"{system.gateway_url}/users/{(id := uuid4().hex)}"
    user = {"username": id, "email": f"{id}@example.org"}
    assert httpx2.put(url, json=user, headers={"if-none-match": "*", **ADMIN_HEADERS}).status_code == 201
    statuses = [
        httpx2.patch(
            url, json={"preferences": {f"k{number}": "x" * 9_000_000}}, timeout=60, headers=ADMIN_HEADERS
        ).status_code
        for number in range(4)
    ]
    assert statuses == [200, 200, 200, 413]
    assert len(httpx2.get(url, timeout=60, headers=ADMIN_HEADERS).json()["data"]["preferences"]) == 3
    assert httpx2.delete(url, headers=ADMIN_HEADERS).status_code == 204


PUT, PATCH, POST, IMPORT = ("PUT", "/datasets/x"), ("PATCH", "/datasets/x"), ("POST", "/datasets"), ("POST", "/import")
TYPES = ["Content-Type: application/x-ndjson", "Content-Type: application/json"]


@pytest.mark.parametrize("port", ["gateway_port", "crud_port"])
@pytest.mark.parametrize(("method", "path"), [PUT, PATCH, POST, IMPORT])
def test_a_body_of_two_kinds_is_refused(system: RunningProcess, port: str, method: str, path: str) -> None:
    for types in (TYPES, TYPES[::-1], TYPES[:1] * 2, TYPES[1:] * 2):
        answer = ask(getattr(system, port), path, method, types, b'{"name": "x"}')
        assert (answer.status, answer.json()["code"]) == (400, "invalid_header")


@pytest.mark.parametrize("types", [TYPES, TYPES[::-1], TYPES[:1]])
@pytest.mark.parametrize(("method", "path"), [PUT, PATCH, ("POST", "/revisions/1/revert"), ("POST", "/datasets/x")])
def test_a_body_that_is_called_lines_where_none_are_read_has_the_limit_of_any(
    system: RunningProcess, method: str, path: str, types: list[str]
) -> None:
    declared = ask(system.gateway_port, path, method, [*types, f"Content-Length: {300 * 2**20}"])
    assert (declared.status, declared.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("types", [TYPES, TYPES[::-1], TYPES[:1]])
def test_what_is_called_lines_is_not_read_beyond_the_limit(system: RunningProcess, types: list[str]) -> None:
    head = [b"PUT /datasets/x HTTP/1.1", b"Host: localhost", b"Connection: close", b"Transfer-Encoding: chunked"]
    head += [BEARER.rstrip(), *(line.encode() for line in types)]
    sent = 0
    with socket.create_connection(("127.0.0.1", system.gateway_port), timeout=10) as connection:
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 300:
                connection.sendall(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
                sent += 1
    assert sent < 100


def test_a_trailer_is_no_header(system: RunningProcess) -> None:
    body = b'{"setting_key": "%s", "setting_value": 1}' % uuid4().hex.encode()
    sent = (
        b"POST /settings HTTP/1.1\r\nHost: localhost\r\n%bTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"%x\r\n%s\r\n0\r\nContent-Type: application/json\r\nX-Request-ID: from-a-trailer\r\n\r\n"
        % (BEARER, len(body), body)
    )
    answer = exchange(system.gateway_port, sent)
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"from-a-trailer" not in answer


def test_a_clean_stop_leaves_everything_in_one_file(tmp_path: Path) -> None:
    with running_crud(tmp_path) as crud:
        created = httpx2.post(
            f"{crud.crud_url}/settings", json={"setting_key": "a", "setting_value": 1}, auth=SignedRequests()
        )
        assert created.status_code == 201
    copy = shutil.copy(tmp_path / "sarvanom.db", tmp_path / "copy.db")
    assert apsw.Connection(str(copy)).execute("SELECT setting_key FROM settings").fetchall() == [("a",)]
    assert sorted(path.suffix for path in tmp_path.glob("sarvanom.db*")) == [".db"]
    assert (tmp_path / "sarvanom.db").stat().st_mode & 0o077 == 0
