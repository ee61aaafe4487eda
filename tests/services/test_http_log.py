"""The log, the past and undoing over HTTP, against both services."""

import orjson
import pytest
from httpx2 import Client

from tests.services.answers import data_of, fields_of, items_of, problem_of

CHANGE_MEMBERS = [
    "revision", "resource", "id", "operation", "service", "actor", "request_id", "time", "previous_revision", "reverts",
    "after",
]  # fmt: skip


def create(http: Client, id: str, **fields: object) -> int:
    """Create a dataset; return its revision."""
    answer = http.post("/datasets", json={"dataset_id": id, "name": "n", **fields}, headers={"x-request-id": f"r-{id}"})
    assert answer.status_code == 201, answer.text
    return int(answer.headers["sarvanom-revision"])


def test_change_holds_what_was_stored_byte_by_byte(http: Client, id: str) -> None:
    """Also what a reader of JSON would write in another way."""
    metadata = '{"b":1.0,"a":1e2,"n":-0.0,"é":"\\u00e9 / \u2028","big":123456789012345678901234567890}'
    body = f'{{"dataset_id":"{id}","name":"n","metadata":{metadata}}}'.encode()
    created = http.post("/datasets", content=body, headers={"content-type": "application/json"})
    revision = int(created.headers["sarvanom-revision"])
    page = http.get("/changes", params={"since": revision - 1, "limit": 1})
    stored = created.content.split(b'"data":')[1].rsplit(b',"metadata":{}}', 1)[0]
    assert b'"after":' + stored + b"}]}" in page.content
    (change,) = items_of(page)
    assert list(change) == CHANGE_MEMBERS
    assert (change["id"], change["resource"], change["operation"]) == (id, "datasets", "create")
    assert (change["actor"], change["previous_revision"], change["reverts"]) == ("key:key-administrator", None, None)
    assert change["time"] == change["after"]["created_at"]


def test_change_names_the_request_that_made_it(http: Client, id: str) -> None:
    create(http, id)
    (change,) = items_of(http.get("/changes", params={"resource": "datasets", "id": id}))
    assert change["request_id"] == f"r-{id}"


def test_page_says_where_it_ends(http: Client, id: str) -> None:
    revision = create(http, id)
    create(http, f"{id}/2")
    first = http.get("/changes", params={"since": revision - 1, "limit": 1})
    assert first.json()["metadata"] == {
        "limit": 1, "next_since": revision, "revision": revision + 1, "oldest_revision": 0,
    }  # fmt: skip
    assert first.headers["vary"] == "accept"
    last = http.get("/changes", params={"since": revision + 1}).json()
    assert (last["data"]["items"], last["metadata"]["next_since"]) == ([], revision + 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=9007199254740991", "since"),
        ("since=x", "since"),
        ("resource=cache", "resource"),
        ("resource=settings&resource=users", "resource"),
        ("id=a", "id"),
        ("limit=1001", "limit"),
        ("until=3", "until"),
    ],
)
def test_query_that_is_not_right_is_refused(http: Client, query: str, field: str) -> None:
    assert fields_of(problem_of(http.get(f"/changes?{query}"), 422, "validation_failed")) == {field}


def test_past_is_read_like_the_present(http: Client, id: str) -> None:
    first = create(http, id)
    changed = http.patch(f"/datasets/{id}", json={"name": "m"})
    second = int(changed.headers["sarvanom-revision"])
    for revision, name in ((first, "n"), (second, "m")):
        for method in ("GET", "HEAD"):
            answer = http.request(method, f"/datasets/{id}", params={"at_revision": revision})
            assert (answer.status_code, answer.headers["etag"]) == (200, f'"{revision}"')
            if method == "GET":
                assert data_of(answer, 200)["name"] == name
    assert http.get(f"/datasets/{id}").content == http.get(f"/datasets/{id}?at_revision={second}").content
    missing = http.get(f"/datasets/{id}", params={"at_revision": first - 1})
    problem_of(missing, 404, "not_found")


def test_past_takes_conditions(http: Client, id: str) -> None:
    first = create(http, id)
    http.patch(f"/datasets/{id}", json={"name": "m"})
    past = {"at_revision": str(first)}
    unchanged = http.get(f"/datasets/{id}", params=past, headers={"if-none-match": f'"{first}"'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", f'"{first}"')
    assert http.get(f"/datasets/{id}", params=past, headers={"if-none-match": '"0"'}).status_code == 200
    refused = http.get(f"/datasets/{id}", params=past, headers={"if-match": '"0"'})
    problem_of(refused, 412, "precondition_failed")


@pytest.mark.parametrize("query", ["at_revision=9007199254740991", "at_revision=-1", "at_revision=", "at_revision=a"])
def test_past_that_is_none_is_refused(http: Client, id: str, query: str) -> None:
    create(http, id)
    refused = http.get(f"/datasets/{id}?{query}")
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {"at_revision"}


def test_cache_and_writes_have_no_past(http: Client, id: str) -> None:
    create(http, id)
    for method, path in (("GET", f"/cache/{id}"), ("DELETE", f"/datasets/{id}"), ("PATCH", f"/datasets/{id}")):
        headers = {"content-type": "application/json"}
        refused = http.request(method, f"{path}?at_revision=1", content=b"{}", headers=headers)
        problem_of(refused, 422, "validation_failed")


def test_revert_answers_with_the_change(http: Client, id: str) -> None:
    first = create(http, id)
    undone = http.post(f"/revisions/{first}/revert", headers={"x-request-id": f"u-{id}"})
    change = data_of(undone, 200)
    assert list(change) == CHANGE_MEMBERS
    assert (change["operation"], change["after"], change["reverts"]) == ("delete", None, first)
    assert change["request_id"] == f"u-{id}"
    assert undone.headers["sarvanom-revision"] == str(change["revision"])
    (_, listed) = items_of(http.get("/changes", params={"resource": "datasets", "id": id}))
    assert listed == change
    problem_of(http.get(f"/datasets/{id}"), 404, "not_found")


def test_revert_brings_back_what_was_stored_byte_by_byte(http: Client, id: str) -> None:
    create(http, id, metadata={"b": 1.0, "a": {"n": [1e300]}})
    before = http.get(f"/datasets/{id}").content
    deleted = http.delete(f"/datasets/{id}")
    undone = http.post(f"/revisions/{deleted.headers['sarvanom-revision']}/revert")
    after = http.get(f"/datasets/{id}").content
    assert after.split(b',"updated_at"')[0] == before.split(b',"updated_at"')[0]
    assert data_of(undone, 200)["operation"] == "create"


def test_revert_is_refused_where_it_cannot_be(http: Client, id: str) -> None:
    first = create(http, id)
    http.patch(f"/datasets/{id}", json={"name": "m"})
    problem_of(http.post(f"/revisions/{first}/revert"), 409, "revert_conflict")
    problem_of(http.post("/revisions/9007199254740991/revert"), 404, "not_found")
    for text in ("0", "latest", "1e3"):
        problem_of(http.post(f"/revisions/{text}/revert"), 422, "validation_failed")
    problem_of(http.post(f"/revisions/{first}"), 404, "route_not_found")
    problem_of(http.get(f"/revisions/{first}/revert"), 405, "method_not_allowed")
    problem_of(http.post(f"/revisions/{first}/revert?force=true"), 422, "validation_failed")


def test_revert_that_would_take_a_name_that_is_taken_is_refused(http: Client, id: str) -> None:
    user = {"user_id": id, "username": id, "email": f"{id}@example.org"}
    http.post("/users", json=user)
    deleted = http.delete(f"/users/{id}").headers["sarvanom-revision"]
    http.post("/users", json={**user, "user_id": f"{id}/2", "email": f"{id}2@example.org"})
    refused = http.post(f"/revisions/{deleted}/revert")
    assert fields_of(problem_of(refused, 409, "already_exists")) == {"username"}


def test_history_of_both_services_is_one(clients: dict[str, Client], id: str) -> None:
    first = create(clients["crud"], id)
    pages = [client.get("/changes", params={"since": first - 1}).content for client in clients.values()]
    assert pages[0] == pages[1]
    assert orjson.loads(pages[0])["metadata"]["revision"] == first
