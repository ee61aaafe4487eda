"""Create, read, replace, patch and delete over HTTP, for every collection and against both services."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import Client, Response

from tests.services.answers import data_of, fields_of, item_of, items_of, problem_of
from tests.services.samples import SAMPLES, Sample, tag_of

pytestmark = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.collection)

JSON = {"content-type": "application/json"}
MERGE_PATCH = {"content-type": "application/merge-patch+json"}


def create(http: Client, sample: Sample, id: str) -> Response:
    response = http.post(f"/{sample.collection}", json=sample.full(id))
    assert response.status_code == 201, response.text
    return response


def test_a_created_resource_is_answered_as_it_is_read(http: Client, sample: Sample, id: str) -> None:
    created = create(http, sample, id)
    assert item_of(created, 201) == sample.full(id)
    assert urlsplit(created.headers["location"]).path == sample.path(id)
    assert created.headers["sarvanom-revision"] == created.headers["etag"].strip('"')
    read = http.get(created.headers["location"])
    assert data_of(read, 200) == data_of(created, 201)
    assert read.headers["etag"] == created.headers["etag"]
    assert "sarvanom-revision" not in read.headers


def test_what_a_body_leaves_out_gets_its_default(http: Client, sample: Sample, id: str) -> None:
    created = http.post(f"/{sample.collection}", json=sample.least(id))
    assert item_of(created, 201) == {**sample.defaults, **sample.least(id)}


def test_what_the_server_sets_is_ignored_in_a_body(http: Client, sample: Sample, id: str) -> None:
    server_fields = {"created_at": "1999-01-01T00:00:00Z", "updated_at": 7, "revision": "x"}
    created = http.post(f"/{sample.collection}", json={**sample.full(id), **server_fields})
    assert item_of(created, 201) == sample.full(id)
    replaced = http.put(sample.path(id), json=data_of(created, 201))
    assert item_of(replaced, 200) == sample.full(id)
    patched = http.patch(sample.path(id), json=server_fields)
    assert item_of(patched, 200) == sample.full(id)
    assert data_of(patched, 200)["created_at"] == data_of(created, 201)["created_at"]


def test_create_twice_conflicts_and_names_the_field(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    again = http.post(f"/{sample.collection}", json=sample.full(id))
    assert fields_of(problem_of(again, 409, "already_exists")) == {sample.id_field}


def test_head_has_the_headers_of_get_and_no_body(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    per_request = {"date", "x-request-id", "ratelimit", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"}
    for path in (sample.path(id), sample.path(f"{id}-absent"), f"/{sample.collection}?service=nobody"):
        got, head = http.get(path), http.head(path)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in (got.headers.keys() | head.headers.keys()) - per_request:
            if name != "content-length" or got.status_code == 200:
                assert head.headers.get(name) == got.headers.get(name), name


def test_head_of_nothing_is_404(http: Client, sample: Sample, id: str) -> None:
    head = http.head(sample.path(id))
    assert (head.status_code, head.headers["content-type"]) == (404, "application/problem+json")


def test_a_replacement_leaves_nothing_of_what_was_there(http: Client, sample: Sample, id: str) -> None:
    created = create(http, sample, id)
    replaced = http.put(sample.path(id), json=sample.least(id))
    assert item_of(replaced, 200) == {**sample.defaults, **sample.least(id)}
    assert "location" not in replaced.headers
    assert int(replaced.headers["sarvanom-revision"]) > int(created.headers["sarvanom-revision"])
    before, after = data_of(created, 201), data_of(replaced, 200)
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] >= before["updated_at"]
    assert data_of(http.get(sample.path(id)), 200) == after


def test_a_replacement_of_nothing_is_404_and_creates_nothing(http: Client, sample: Sample, id: str) -> None:
    problem_of(http.put(sample.path(id), json=sample.full(id)), 404, "not_found")
    problem_of(http.get(sample.path(id)), 404, "not_found")


def test_a_replacement_may_leave_its_id_out_of_the_body(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    body = sample.full(id)
    del body[sample.id_field]
    assert item_of(http.put(sample.path(id), json=body), 200) == sample.full(id)


@pytest.mark.parametrize("other", ["another", "", None, 7, ["x"]])
def test_a_replacement_with_another_id_is_refused(http: Client, sample: Sample, id: str, other: object) -> None:
    created = create(http, sample, id)
    refused = http.put(sample.path(id), json={**sample.full(id), sample.id_field: other})
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {sample.id_field}
    assert http.get(sample.path(id)).headers["etag"] == created.headers["etag"]


def test_put_creates_only_if_it_is_told_that_nothing_is_there(http: Client, sample: Sample, id: str) -> None:
    create_only = {"if-none-match": "*"}
    created = http.put(sample.path(id), json=sample.full(id), headers=create_only)
    assert item_of(created, 201) == sample.full(id)
    assert created.headers["location"] == sample.path(id)
    assert created.headers["sarvanom-revision"] == created.headers["etag"].strip('"')
    again = http.put(sample.path(id), json=sample.least(id), headers=create_only)
    problem_of(again, 412, "precondition_failed")
    assert item_of(http.get(sample.path(id)), 200) == sample.full(id)


@pytest.mark.parametrize(
    "headers", [JSON, MERGE_PATCH, {"content-type": "Application/Merge-Patch+JSON; Charset=UTF-8"}]
)
def test_a_patch_changes_what_it_names_and_nothing_else(
    http: Client, sample: Sample, id: str, headers: dict[str, str]
) -> None:
    create(http, sample, id)
    name, value = sample.changed
    patched = http.patch(sample.path(id), json={name: value}, headers=headers)
    expected: Any = {**sample.full(id), name: value}
    if isinstance(value, dict):
        expected[name] = {**sample.full(id)[name], **value}
    assert item_of(patched, 200) == expected
    assert patched.headers["sarvanom-revision"] == patched.headers["etag"].strip('"')
    assert data_of(http.get(sample.path(id)), 200) == data_of(patched, 200)


def test_null_in_a_patch_restores_the_default(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    patched = http.patch(sample.path(id), json=dict.fromkeys(sample.defaults), headers=MERGE_PATCH)
    kept = {name: value for name, value in sample.full(id).items() if name not in sample.defaults}
    assert item_of(patched, 200) == {**sample.defaults, **kept}


def test_null_in_a_patch_of_a_required_field_is_refused(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    refused = http.patch(sample.path(id), json=dict.fromkeys(sample.required), headers=MERGE_PATCH)
    assert fields_of(problem_of(refused, 422, "validation_failed")) == set(sample.required)
    assert item_of(http.get(sample.path(id)), 200) == sample.full(id)


@pytest.mark.parametrize("patch", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_a_patch_that_is_no_object_is_refused(http: Client, sample: Sample, id: str, patch: bytes) -> None:
    create(http, sample, id)
    refused = http.patch(sample.path(id), content=patch, headers=MERGE_PATCH)
    problem_of(refused, 422, "validation_failed")


def test_a_patch_cannot_change_the_id(http: Client, sample: Sample, id: str) -> None:
    create(http, sample, id)
    refused = http.patch(sample.path(id), json={sample.id_field: f"{id}-b"}, headers=MERGE_PATCH)
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {sample.id_field}
    same = http.patch(sample.path(id), json={sample.id_field: id}, headers=MERGE_PATCH)
    assert item_of(same, 200) == sample.full(id)


def test_a_patch_of_nothing_is_404(http: Client, sample: Sample, id: str) -> None:
    problem_of(http.patch(sample.path(id), json={}, headers=MERGE_PATCH), 404, "not_found")


def test_what_is_deleted_is_gone(http: Client, sample: Sample, id: str) -> None:
    created = create(http, sample, id)
    deleted = http.delete(sample.path(id))
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert int(deleted.headers["sarvanom-revision"]) > int(created.headers["sarvanom-revision"])
    assert not {"content-type", "content-length", "etag"} & set(deleted.headers)
    problem_of(http.get(sample.path(id)), 404, "not_found")
    problem_of(http.delete(sample.path(id)), 404, "not_found")
    problem_of(http.put(sample.path(id), json=sample.full(id)), 404, "not_found")
    assert item_of(create(http, sample, id), 201) == sample.full(id)


def test_a_list_holds_items_as_they_are_read(http: Client, sample: Sample, id: str) -> None:
    service = tag_of(id)
    for number in range(3):
        body = {**sample.full(f"{id}-{number}"), "service": service}
        assert http.post(f"/{sample.collection}", json=body).status_code == 201
    listed = items_of(http.get(f"/{sample.collection}", params={"service": service}))
    assert listed == [data_of(http.get(sample.path(f"{id}-{number}")), 200) for number in range(3)]


def test_both_services_see_the_same(clients: dict[str, Client], sample: Sample, id: str) -> None:
    create(clients["gateway"], sample, id)
    near, far = clients["crud"].get(sample.path(id)), clients["gateway"].get(sample.path(id))
    assert near.content == far.content
    assert near.headers["etag"] == far.headers["etag"]
