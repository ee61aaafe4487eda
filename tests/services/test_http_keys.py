"""API keys over HTTP: told once, kept as a digest, granted within what their maker has, gone when revoked."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from sarvanom.security.api_keys import is_well_formed
from sarvanom.security.principals import Principal
from tests.harness.identity import SignedRequests
from tests.harness.system import RunningProcess
from tests.services.answers import data_of, fields_of, items_of, problem_of
from tests.services.keys import Key, make_key, using

GIVEN_BACK = ("name", "roles", "scopes", "services", "service")


@pytest.fixture
def key(http: httpx2.Client) -> Key:
    return make_key(http, roles=["viewer"], scopes=["users:write"], services=["s"], expires_at="2099-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def lesser(system: RunningProcess) -> Iterator[httpx2.Client]:
    """A client of crud that may administer keys, read users, and is bound to a service."""
    principal = Principal("user:lesser", frozenset({"keys:admin", "users:read"}), frozenset({"s"}))
    with httpx2.Client(base_url=system.crud_url, auth=SignedRequests(principal), timeout=20) as client:
        yield client


def test_key_is_told_once_and_never_again(http: httpx2.Client, key: Key) -> None:
    text = key["key"]
    assert is_well_formed(text)
    assert key["digest"] == sha256(text.encode()).hexdigest()
    assert text.startswith(key["hint"])
    assert len(key["hint"]) == 16
    assert {name: key[name] for name in GIVEN_BACK} == {
        "name": "test", "roles": ["viewer"], "scopes": ["users:write"], "services": ["s"], "service": "default",
    }  # fmt: skip
    path = f"/keys/{key['key_id']}"
    for answer in (
        http.get(path),
        http.get(path, params={"at_revision": key["revision"]}),
        http.get("/keys", params={"digest": key["digest"]}),
        http.get("/keys", headers={"accept": "application/x-ndjson"}),
        http.get("/changes", params={"resource": "keys", "id": key["key_id"]}),
        http.get("/export"),
        http.patch(path, json={"name": "other"}),
    ):
        assert answer.status_code == 200
        assert key["key_id"] in answer.text
        assert text not in answer.text
        assert text[len(key["hint"]) :] not in answer.text


def test_answer_says_where_the_key_is(http: httpx2.Client) -> None:
    created = http.post("/keys", json={"name": "n"})
    data = data_of(created, 201)
    assert created.headers["location"] == f"/keys/{data['key_id']}"
    assert created.headers["etag"] == f'"{data["revision"]}"'
    assert re.fullmatch(r"key-[0-9A-Za-z]{16}", data["key_id"])
    assert (data["roles"], data["scopes"], data["services"], data["expires_at"]) == ([], [], None, None)


def test_repeated_request_gets_the_same_key_again(http: httpx2.Client, id: str) -> None:
    headers = {"idempotency-key": id}
    first = data_of(http.post("/keys", json={"name": id}, headers=headers), 201)
    again = http.post("/keys", json={"name": id}, headers=headers)
    assert (data_of(again, 201), again.headers["idempotency-replayed"]) == (first, "true")
    problem_of(http.post("/keys", json={"name": "b"}, headers=headers), 422, "idempotency_key_reused")
    path = f"/keys/{first['key_id']}/rotate"
    rotated = data_of(http.post(path, json={}, headers={"idempotency-key": f"{id}-2"}), 200)
    again = http.post(path, json={}, headers={"idempotency-key": f"{id}-2"})
    assert (data_of(again, 200), again.headers["idempotency-replayed"]) == (rotated, "true")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "n", "roles": ["root"]}, "roles.0"),
        ({"name": "n", "scopes": ["users:delete"]}, "scopes.0"),
        ({"name": "n", "services": []}, "services"),
        ({"name": "n", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "n", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"name": "n", "expires_at": 4_000_000_000}, "expires_at"),
        ({"name": "n", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "n", "key": "sk-mine"}, "key"),
    ],
)
def test_bad_key_is_refused(http: httpx2.Client, body: dict[str, Any], field: str) -> None:
    assert fields_of(problem_of(http.post("/keys", json=body), 422, "validation_failed")) == {field}


def test_what_the_server_makes_cannot_be_chosen(http: httpx2.Client, key: Key) -> None:
    mine = {
        "key_id": "mine",
        "hint": "sk-mine",
        "digest": "0" * 64,
        "previous_digest": "1" * 64,
        "previous_expires_at": "2099-01-01T00:00:00Z",
    }
    made = make_key(http, **mine)
    assert not {name for name, value in mine.items() if made[name] == value}
    assert (made["previous_digest"], made["previous_expires_at"]) == (None, None)
    patched = data_of(http.patch(f"/keys/{key['key_id']}", json={**mine, "name": "patched"}), 200)
    unchanged = ("key_id", "hint", "digest", "previous_digest", "previous_expires_at")
    assert {name: patched[name] for name in unchanged} == {name: key[name] for name in unchanged}


def test_there_is_no_replacement_and_no_import(http: httpx2.Client, key: Key) -> None:
    problem = http.put(f"/keys/{key['key_id']}", json={"name": "n"})
    problem_of(problem, 405, "method_not_allowed")
    lines = http.post("/keys", content=b'{"name":"n"}\n', headers={"content-type": "application/x-ndjson"})
    problem_of(lines, 415, "unsupported_media_type")
    problem_of(http.post(f"/keys/{key['key_id']}", json={}), 405, "method_not_allowed")
    for method in ("GET", "PATCH", "DELETE"):
        answer = http.request(method, f"/keys/{key['key_id']}/rotate")
        problem_of(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"
    problem_of(http.post("/keys/nothing/rotate", json={}), 404, "not_found")
    problem_of(http.post("/keys/nothing/rotate"), 404, "not_found")
    empty = http.post("/keys/nothing/rotate", headers={"content-type": "application/json"})
    problem_of(empty, 404, "not_found")
    problem_of(http.post(f"/keys/{key['key_id']}/rotate", content=b"{}"), 415, "unsupported_media_type")
    for overlap in (-1, 2_592_001, "1", None):
        refused = http.post(f"/keys/{key['key_id']}/rotate", json={"overlap_seconds": overlap})
        problem_of(refused, 422, "validation_failed")


def test_what_was_revoked_never_comes_back(http: httpx2.Client, id: str) -> None:
    headers = {"idempotency-key": id}
    key = data_of(http.post("/keys", json={"name": id}, headers=headers), 201)
    created = key["revision"]
    patched = http.patch(f"/keys/{key['key_id']}", json={"name": "m"}).headers["sarvanom-revision"]
    revoked = http.delete(f"/keys/{key['key_id']}").headers["sarvanom-revision"]
    for revision in (created, patched, revoked):
        problem = problem_of(http.post(f"/revisions/{revision}/revert"), 409, "revert_conflict")
        assert "never comes back" in problem["detail"]
    assert http.get(f"/keys/{key['key_id']}").status_code == 404


def test_nobody_grants_more_than_it_has(http: httpx2.Client, lesser: httpx2.Client) -> None:
    within = {"name": "n", "service": "s", "services": ["s"]}
    key = data_of(lesser.post("/keys", json={**within, "scopes": ["users:read"]}), 201)
    for more in (
        {"scopes": ["users:write"]},
        {"roles": ["viewer"]},
        {"roles": ["admin"]},
        {"services": None},
        {"services": ["s", "t"]},
        {"service": "t"},
    ):
        problem_of(lesser.post("/keys", json={**within, **more}), 403, "forbidden")
        problem_of(lesser.patch(f"/keys/{key['key_id']}", json=more), 403, "forbidden")
    strong = make_key(http, roles=["admin"], service="s", services=["s"])
    problem_of(lesser.post(f"/keys/{strong['key_id']}/rotate", json={}), 403, "forbidden")
    problem_of(lesser.patch(f"/keys/{strong['key_id']}", json={"name": "m"}), 403, "forbidden")
    endings: list[dict[str, Any]] = [{"roles": []}, {"roles": ["viewer"]}, {"expires_at": "2026-01-01T00:00:00Z"}]
    for narrowed in endings:
        problem_of(lesser.patch(f"/keys/{strong['key_id']}", json=narrowed), 403, "forbidden")
    problem_of(lesser.delete(f"/keys/{strong['key_id']}"), 403, "forbidden")
    assert data_of(http.get(f"/keys/{strong['key_id']}"), 200)["revision"] == strong["revision"]
    assert data_of(lesser.post(f"/keys/{key['key_id']}/rotate", json={}), 200)["key"]
    foreign = make_key(http)
    for answer in (
        lesser.get(f"/keys/{foreign['key_id']}"),
        lesser.patch(f"/keys/{foreign['key_id']}", json={}),
        lesser.post(f"/keys/{foreign['key_id']}/rotate", json={}),
        lesser.delete(f"/keys/{foreign['key_id']}"),
    ):
        problem_of(answer, 404, "not_found")
    assert {one["service"] for one in items_of(lesser.get("/keys?limit=1000"))} == {"s"}


def refused_changes(client: httpx2.Client, path: str) -> None:
    """Try everything that changes a key, also what would take from it, and be refused."""
    patches: list[Key] = [{}, {"name": "m"}, {"roles": [], "scopes": []}, {"roles": [], "services": ["s"]}]
    for patch in patches:
        problem_of(client.patch(path, json=patch), 403, "forbidden")
    problem_of(client.post(f"{path}/rotate", json={"overlap_seconds": 0}), 403, "forbidden")
    problem_of(client.delete(path), 403, "forbidden")
    problem_of(client.delete(path, headers={"if-match": '"1"'}), 403, "forbidden")


def test_nobody_takes_over_a_key_that_may_do_more_by_narrowing_it_first(
    gateway: httpx2.Client, system: RunningProcess
) -> None:
    boss = make_key(gateway, roles=["admin"])
    path = f"/keys/{boss['key_id']}"
    with using(system.gateway_url, make_key(gateway, scopes=["keys:admin"])["key"]) as keeper:
        refused_changes(keeper, path)
        refused_changes(keeper, "/keys/key-administrator")
        weak = data_of(keeper.post("/keys", json={"name": "n", "scopes": ["keys:admin"]}), 201)
        assert data_of(keeper.patch(f"/keys/{weak['key_id']}", json={"scopes": []}), 200)["scopes"] == []
        assert keeper.delete(f"/keys/{weak['key_id']}").status_code == 204
    assert data_of(gateway.get(path), 200)["revision"] == boss["revision"]


def test_who_is_bound_takes_over_no_key_that_is_not(gateway: httpx2.Client, system: RunningProcess) -> None:
    free = make_key(gateway, roles=["admin"], service="s")
    with using(system.gateway_url, make_key(gateway, roles=["admin"], services=["s"])["key"]) as bound:
        assert bound.get(f"/keys/{free['key_id']}").status_code == 200
        refused_changes(bound, f"/keys/{free['key_id']}")
    assert data_of(gateway.get(f"/keys/{free['key_id']}"), 200)["revision"] == free["revision"]


def test_key_that_ends_lets_nobody_in_for_longer(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    end, later = "2098-01-01T00:00:00Z", "2098-01-01T00:00:00.000001Z"
    key = make_key(gateway, roles=["admin"], expires_at=end)
    path = f"/keys/{key['key_id']}"
    lasting = make_key(gateway)
    with using(system.gateway_url, key["key"]) as client:
        for expires_at in (None, later):
            problem_of(client.post("/keys", json={"name": "n", "expires_at": expires_at}), 403, "forbidden")
            problem_of(client.patch(path, json={"expires_at": expires_at}), 403, "forbidden")
        problem_of(client.post("/accounts", json={"account_id": id, "password": "Zwölf Boxkämpfer"}), 403, "forbidden")
        refused_changes(client, f"/keys/{lasting['key_id']}")
        assert client.post("/keys", json={"name": "n", "expires_at": end}).status_code == 201
        assert client.patch(path, json={"name": "m"}).status_code == 200
        assert client.post(f"{path}/rotate", json={}).status_code == 200
        assert client.patch(path, json={"expires_at": "2097-01-01T00:00:00Z"}).status_code == 200
        problem_of(client.patch(path, json={"expires_at": end}), 403, "forbidden")
        assert client.delete(path).status_code == 204
        # Within the lease the gateway lets it in; it has no end any more that others could be held against.
        assert client.post("/keys", json={"name": "n"}).status_code in (401, 403)


def test_who_administers_keys_alone_ends_no_administrator(gateway: httpx2.Client, system: RunningProcess) -> None:
    weak, strong = make_key(gateway, scopes=["keys:admin"]), make_key(gateway, roles=["admin"])
    with using(system.gateway_url, weak["key"]) as client:
        for id in (strong["key_id"], "key-administrator"):
            problem_of(client.delete(f"/keys/{id}"), 403, "forbidden")
            problem_of(client.patch(f"/keys/{id}", json={"roles": []}), 403, "forbidden")
        own = make_key(client)
        assert client.delete(f"/keys/{own['key_id']}").status_code == 204
        assert client.delete(f"/keys/{weak['key_id']}").status_code == 204


def test_rotated_key_and_the_one_before_are_good_until_the_overlap_ends(
    gateway: httpx2.Client, system: RunningProcess
) -> None:
    key = make_key(gateway, roles=["viewer"])
    path = f"/keys/{key['key_id']}/rotate"
    rotated = data_of(gateway.post(path, json={"overlap_seconds": 3600}), 200)
    assert rotated["previous_digest"] == key["digest"]
    assert rotated["previous_expires_at"]
    assert (rotated["roles"], rotated["key_id"]) == (key["roles"], key["key_id"])
    for text in (key["key"], rotated["key"]):
        with using(system.gateway_url, text) as client:
            assert client.get("/users?limit=1").status_code == 200
    assert data_of(gateway.post(path), 200)["previous_digest"] == rotated["digest"]  # no body: the default overlap
    at_once = data_of(gateway.post(path, json={"overlap_seconds": 0}), 200)
    assert (at_once["previous_digest"], at_once["previous_expires_at"]) == (None, None)
    with using(system.gateway_url, at_once["key"]) as client:
        assert client.get("/users?limit=1").status_code == 200


def test_changes_name_who_made_them(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    key = make_key(gateway, roles=["editor"])
    with using(system.gateway_url, key["key"]) as client:
        assert client.put(f"/settings/{id}", json={"setting_value": 1}, headers={"if-none-match": "*"}).is_success
        line = client.post("/settings", content=b'{"setting_key":"%s-2","setting_value":1}' % id.encode(), headers={"content-type": "application/x-ndjson"})  # fmt: skip  # noqa: E501
        assert line.json()["status"] == 201
    for one in (id, f"{id}-2"):
        (change,) = items_of(gateway.get("/changes", params={"resource": "settings", "id": one}))
        assert change["actor"] == f"key:{key['key_id']}"


def test_idempotency_keys_are_each_callers_own(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    headers = {"idempotency-key": id}
    assert gateway.post("/settings", json={"setting_key": id, "setting_value": 1}, headers=headers).status_code == 201
    with using(system.gateway_url, make_key(gateway, roles=["editor"])["key"]) as other:
        answer = other.post("/settings", json={"setting_key": f"{id}-2", "setting_value": 1}, headers=headers)
        assert answer.status_code == 201
        same = other.post(
            "/settings", json={"setting_key": id, "setting_value": 1}, headers={"idempotency-key": f"{id}-3"}
        )
        problem_of(same, 409, "already_exists")


def test_who_may_write_sees_what_it_has_written_to_and_nothing_else(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    setting = {"setting_key": id, "setting_value": "hush", "encrypted": True}
    assert gateway.post("/settings", json=setting).status_code == 201
    with using(system.gateway_url, make_key(gateway, scopes=["settings:write"])["key"]) as writer:
        for path in (f"/settings/{id}", "/settings", f"/settings/{id}?at_revision=1", "/changes?resource=settings"):
            problem_of(writer.get(path), 403, "forbidden")
        assert data_of(writer.patch(f"/settings/{id}", json={}), 200)["setting_value"] == "********"
