"""Ids in URLs, sent byte by byte: as they are, percent-encoded, and as attackers write them."""

from urllib.parse import quote

import pytest
from httpx2 import Client

from tests.services.raw_http import RawAnswer, ask

REAL_IDS = [
    "meta-llama/Llama-3.1-8B",
    "bedrock/*/cohere.command-text-v14",
    "anthropic.claude-haiku-4-5@20251001",
    "azure/gpt-4o:latest",
    "a/b/c/d/e",
    "-._~!$&'()*+,;=:@",
    "...",
    "..a",
    ".a./a..",
    "health",
    "users",
]
JSON = ["Content-Type: application/json"]


def port_of(http: Client) -> int:
    assert http.base_url.port
    return http.base_url.port


def put(http: Client, target: str) -> RawAnswer:
    return ask(port_of(http), target, "PUT", [*JSON, "If-None-Match: *"], b'{"setting_value": 1}')


@pytest.mark.parametrize("tail", REAL_IDS)
def test_an_id_stands_in_a_url_as_it_is(http: Client, id: str, tail: str) -> None:
    id = f"{id}/{tail}"
    created = put(http, f"/settings/{id}")
    assert (created.status, created.json()["data"]["setting_key"]) == (201, id)
    assert created.headers["location"] == f"/settings/{id}"
    read = ask(port_of(http), created.headers["location"])
    assert (read.status, read.json()["data"]["setting_key"]) == (200, id)
    assert ask(port_of(http), f"/settings/{id}", "DELETE").status == 204


@pytest.mark.parametrize("tail", REAL_IDS)
def test_an_id_may_be_percent_encoded_in_part_or_in_whole(http: Client, id: str, tail: str) -> None:
    id = f"{id}/{tail}"
    assert put(http, f"/settings/{quote(id, safe='')}").status == 201
    every_byte = "".join(f"%{byte:02x}" for byte in id.encode())
    for encoded in (id, quote(id), quote(id, safe=""), every_byte, every_byte.upper().replace("%2D", "-")):
        read = ask(port_of(http), f"/settings/{encoded}")
        assert (read.status, read.json()["data"]["setting_key"]) == (200, id), encoded


def test_a_created_id_is_found_at_its_location(http: Client, id: str) -> None:
    id = f"{id}/-._~!$&'()*+,;=:@"
    body = f'{{"setting_key": "{id}", "setting_value": 1}}'.encode()
    created = ask(port_of(http), "/settings", "POST", JSON, body)
    assert created.status == 201
    assert ask(port_of(http), created.headers["location"]).json()["data"]["setting_key"] == id


NO_IDS = [
    ".",
    "..",
    "../health",
    "..%2fhealth",
    "%2e%2e/health",
    "%2e",
    "a/../b",
    "a/..",
    "a/.",
    "a/./b",
    "a//b",
    "a/",
    "/a",
    "%2fa",
    "a%2f%2fb",
    "a%00",
    "%00",
    "a%0d%0aX-Injected:%201",
    "a%0a",
    "a%20b",
    "a%5cb",
    "a%3fb",
    "a%23b",
    "a%25b",
    "a%252fb",
    "a%22",
    "a%3cb%3e",
    "%c3%a9",
    "%ff",
    "%c0%ae%c0%ae",
    "%f0%9f%98%80",
    "a%",
    "a%2",
    "a%zz",
    "a%7f",
    "[a]",
    "a|b",
    "a^b",
    "{a}",
    "a`b",
    "a" * 256,
    "a/" * 128 + "a",
    "%61" * 256,
]


@pytest.mark.parametrize("target", NO_IDS, ids=lambda target: target[:24])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_what_is_no_id_is_refused_and_touches_nothing(http: Client, target: str, method: str) -> None:
    body = b'{"setting_value": 1}' if method in ("PUT", "PATCH") else None
    headers = [*JSON, "If-None-Match: *"] if method == "PUT" else JSON
    answer = ask(port_of(http), f"/settings/{target}", method, headers, body)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "x-injected" not in answer.headers
    if method != "HEAD":
        problem = answer.json()
        assert problem["code"] == "validation_failed"
        assert [error["field"] for error in problem["errors"]] == ["setting_key"]


def test_the_longest_id_is_kept(http: Client, id: str) -> None:
    longest = id + "a" * (255 - len(id))
    assert put(http, f"/settings/{longest}").status == 201
    assert ask(port_of(http), f"/settings/{longest}").status == 200


def test_a_raw_byte_beyond_ascii_is_no_http(http: Client) -> None:
    for target in (b"/settings/\xc3\xa9", b"/settings?category=\xff", b"/settings/a\x01", b"/settings/a b"):
        assert ask(port_of(http), target).status == 400


def test_an_empty_query_is_no_part_of_an_id_and_a_fragment_none_of_a_target(http: Client, id: str) -> None:
    assert put(http, f"/settings/{id}?").status == 201
    for tail in ("", "?"):
        assert ask(port_of(http), f"/settings/{id}{tail}").json()["data"]["setting_key"] == id
    refused = ask(port_of(http), f"/settings/{id}#frag")
    assert (refused.status, refused.json()["code"]) == (400, "malformed_request")


def test_a_query_is_refused_where_there_are_no_parameters(http: Client, id: str) -> None:
    assert put(http, f"/settings/{id}").status == 201
    for method, target in (("GET", f"/settings/{id}?x=1"), ("DELETE", f"/settings/{id}?x"), ("POST", "/settings?a=b")):
        answer = ask(port_of(http), target, method, JSON, b'{"setting_key": "x", "setting_value": 1}')
        assert (answer.status, answer.json()["code"]) == (422, "validation_failed")
    assert ask(port_of(http), f"/settings/{id}").status == 200


def test_an_absolute_target_is_read_like_its_path(http: Client, id: str) -> None:
    """RFC 9112, 3.2.2: a server must accept the absolute form."""
    assert put(http, f"/settings/{id}").status == 201
    assert ask(port_of(http), f"http://127.0.0.1/settings/{id}").status == 200


def test_an_id_that_looks_like_another_route_is_an_id(http: Client, id: str) -> None:
    for tail in ("changes", "health", "cache-stats", "openapi.json"):
        assert put(http, f"/settings/{id}/{tail}").status == 201
    problem = ask(port_of(http), f"/settings/{id}")
    assert (problem.status, problem.json()["code"]) == (404, "not_found")
