"""`Idempotency-Key` over HTTP: what is done under a key is done once, and answered the same each time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx2 import Client, Response

from tests.harness.identity import ADMIN_HEADERS
from tests.harness.system import running_system
from tests.services.answers import data_of, problem_of

KEPT = ("etag", "location", "sarvanom-revision", "content-type")

type Prepare = Callable[[Client, str], tuple[str, str, Any]]


def _create(_: Client, id: str) -> tuple[str, str, Any]:
    return "POST", "/settings", {"setting_key": id, "setting_value": {"n": [1.0, "\u00e9"]}}


def _create_by_put(_: Client, id: str) -> tuple[str, str, Any]:
    return "PUT", f"/settings/{id}", {"setting_value": 2}


def _existing(http: Client, id: str) -> None:
    assert http.post("/settings", json={"setting_key": id, "setting_value": 1}).status_code == 201


def _replace(http: Client, id: str) -> tuple[str, str, Any]:
    _existing(http, id)
    return "PUT", f"/settings/{id}", {"setting_value": 2}


def _patch(http: Client, id: str) -> tuple[str, str, Any]:
    _existing(http, id)
    return "PATCH", f"/settings/{id}", {"setting_value": {"a": 1}}


def _delete(http: Client, id: str) -> tuple[str, str, Any]:
    _existing(http, id)
    return "DELETE", f"/settings/{id}", None


def _cache(_: Client, id: str) -> tuple[str, str, Any]:
    return "POST", "/cache", {"key": id, "value": 1}


def _invalidate(http: Client, id: str) -> tuple[str, str, Any]:
    for number in range(3):
        http.post("/cache", json={"key": f"{id}/{number}", "value": 1, "tags": [id]})
    return "DELETE", f"/cache?tag={id}", None


def _revert(http: Client, id: str) -> tuple[str, str, Any]:
    _existing(http, id)
    deleted = http.delete(f"/settings/{id}")
    return "POST", f"/revisions/{deleted.headers['sarvanom-revision']}/revert", None


def _revert_to_nothing(http: Client, id: str) -> tuple[str, str, Any]:
    created = http.post("/settings", json={"setting_key": id, "setting_value": 1})
    return "POST", f"/revisions/{created.headers['sarvanom-revision']}/revert", None


WRITES = [_create, _create_by_put, _replace, _patch, _delete, _cache, _invalidate, _revert, _revert_to_nothing]


def send(http: Client, request: tuple[str, str, Any], key: str, **headers: str) -> Response:
    method, target, body = request
    if request[0] == "PUT" and body == {"setting_value": 2} and "create" in key:
        headers["if-none-match"] = "*"
    return http.request(method, target, json=body, headers={"idempotency-key": key, **headers})


def same(one: Response, other: Response) -> bool:
    """Tell whether two answers say the same, but for their request ids."""
    return (one.status_code, one.content) == (other.status_code, other.content) and all(
        one.headers.get(name) == other.headers.get(name) for name in KEPT
    )


@pytest.mark.parametrize("prepare", WRITES)
def test_repeated_write_gets_the_first_answer_and_acts_once(http: Client, id: str, prepare: Prepare) -> None:
    request = prepare(http, id)
    key = f'"{prepare.__name__} {id}"'
    first = send(http, request, key)
    assert first.is_success, first.text
    assert "idempotency-replayed" not in first.headers
    head = http.get("/changes?limit=1").json()["metadata"]["revision"]
    for _ in range(2):
        again = send(http, request, key)
        assert same(first, again), (first.content, again.content)
        assert again.headers["idempotency-replayed"] == "true"
    assert http.get("/changes?limit=1").json()["metadata"]["revision"] == head


@pytest.mark.parametrize("prepare", [_create, _replace, _patch, _revert])
def test_first_answer_stands_whatever_happened_since(http: Client, id: str, prepare: Prepare) -> None:
    request = prepare(http, id)
    first = send(http, request, id)
    http.patch(f"/settings/{id}", json={"description": "later"})
    http.delete(f"/settings/{id}")
    again = send(http, request, id)
    assert same(first, again)
    assert again.headers["idempotency-replayed"] == "true"
    assert http.get(f"/settings/{id}").status_code == 404


def test_other_request_under_the_same_key_is_refused(http: Client, id: str) -> None:
    request = _create(http, id)
    assert send(http, request, id).status_code == 201
    others = [
        ("POST", "/settings", {**request[2], "setting_value": 2}),
        ("PUT", f"/settings/{id}", {"setting_value": 2}),
        ("DELETE", f"/settings/{id}", None),
        ("POST", "/cache", {"key": id, "value": 1}),
        ("DELETE", f"/cache?tag={id}", None),
    ]
    for other in others:
        problem_of(send(http, other, id), 422, "idempotency_key_reused")
    patch = ("PATCH", f"/settings/{id}", {"setting_value": 3})
    assert send(http, patch, f"{id}-p", **{"if-match": "*"}).status_code == 200
    problem_of(send(http, patch, f"{id}-p"), 422, "idempotency_key_reused")


def test_refused_write_leaves_its_key_free(http: Client, id: str) -> None:
    patch = ("PATCH", f"/settings/{id}", {"setting_value": 3})
    problem_of(send(http, patch, id), 404, "not_found")
    _existing(http, id)
    answer = send(http, patch, id)
    assert data_of(answer, 200)["setting_value"] == 3
    assert "idempotency-replayed" not in answer.headers


def test_key_means_the_same_in_quotes_and_without(http: Client, id: str) -> None:
    request = _create(http, id)
    assert send(http, request, id).status_code == 201
    assert send(http, request, f'"{id}"').headers["idempotency-replayed"] == "true"


def test_key_is_one_for_both_services(clients: dict[str, Client], id: str) -> None:
    request = _create(clients["gateway"], id)
    first = send(clients["gateway"], request, id)
    again = send(clients["crud"], request, id)
    assert same(first, again)


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "\u00e9", '"a', '""'])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_key_that_is_none_is_refused(http: Client, id: str, key: str, method: str) -> None:
    path = "/settings" if method == "POST" else f"/settings/{id}"
    body = {"setting_key": id, "setting_value": 1}
    answer = http.request(method, path, json=body, headers=[(b"idempotency-key", key.encode())])
    problem_of(answer, 400, "invalid_header")


def test_write_without_a_key_acts_each_time(http: Client, id: str) -> None:
    _existing(http, id)
    first, second = (http.patch(f"/settings/{id}", json={"setting_value": 2}) for _ in range(2))
    assert first.headers["sarvanom-revision"] != second.headers["sarvanom-revision"]
    assert "idempotency-replayed" not in second.headers


def test_many_at_once_act_once(http: Client, id: str) -> None:
    """Each gets the answer, or is told that it is being made."""
    request = _create(http, id)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: send(http, request, id), range(48)))
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code != 201]
    assert done
    assert len({answer.content for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    for answer in waiting:
        problem_of(answer, 409, "request_in_progress")
        assert answer.headers["retry-after"]


async def test_many_at_once_act_once_over_two_processes(tmp_path: Path) -> None:
    with running_system(tmp_path, SARVANOM_WORKERS="2") as system:
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(
            base_url=system.gateway_url, limits=limits, timeout=20, headers=ADMIN_HEADERS
        ) as client:
            for number in range(5):
                body = {"setting_key": f"s{number}", "setting_value": 1}
                asked = [
                    client.post("/settings", json=body, headers={"idempotency-key": f"k{number}"}) for _ in range(8)
                ]
                answers = await asyncio.gather(*asked)
                assert {answer.status_code for answer in answers} <= {201, 409}
                assert len({answer.headers["sarvanom-revision"] for answer in answers if answer.is_success}) == 1
            assert (await client.get("/changes?limit=1")).json()["metadata"][
                "revision"
            ] == 6  # the first is the administrator's key
