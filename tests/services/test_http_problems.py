"""Errors over HTTP: problem details wherever they come from, and the request id by which they are found again."""

import re

import pytest
from httpx2 import Client

from tests.services.answers import problem_of
from tests.services.raw_http import ask
from tests.services.samples import SAMPLES, Sample

EACH_SAMPLE = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.collection)
MADE_ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/users2", "/Users", "/userS/x", "//users", "/users/", "/cache/", "/cache-stats/x", "/api/users"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_path_that_is_not_there_is_no_route(http: Client, path: str, method: str) -> None:
    answer = ask(http.base_url.port or 0, path, method, body=b"" if method != "GET" else None)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "route_not_found"


@pytest.mark.parametrize("path", ["/health/", "/ready/", "/version/", "/health/detailed/", "/cache-stats/"])
def test_a_trailing_slash_is_another_path(http: Client, path: str) -> None:
    """And no redirect, whose absolute Location would name whatever scheme and host the request seemed to have."""
    problem_of(http.get(path), 404, "route_not_found")


@EACH_SAMPLE
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_a_collection_lists_its_methods(http: Client, sample: Sample, method: str) -> None:
    answer = http.request(method, f"/{sample.collection}")
    problem_of(answer, 405, "method_not_allowed")
    allowed = {"GET", "HEAD", "POST"} | ({"DELETE"} if sample.collection == "cache" else set())
    assert set(answer.headers["allow"].split(", ")) == allowed


@EACH_SAMPLE
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "TRACE"])
def test_an_item_lists_its_methods(http: Client, sample: Sample, id: str, method: str) -> None:
    answer = http.request(method, sample.path(id))
    problem_of(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "PATCH", "DELETE"}


@EACH_SAMPLE
def test_a_collection_other_than_the_cache_is_never_deleted_at_once(http: Client, sample: Sample) -> None:
    answer = http.delete(f"/{sample.collection}")
    if sample.collection == "cache":
        problem_of(answer, 422, "validation_failed")
    else:
        problem_of(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/health", "/ready", "/version", "/health/detailed", "/cache-stats"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_can_only_be_read_says_so(http: Client, path: str, method: str) -> None:
    answer = http.request(method, path)
    problem_of(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/health", "/ready", "/version", "/health/detailed", "/cache-stats"])
def test_what_can_be_read_has_a_head(http: Client, path: str) -> None:
    got, head = http.get(path), http.head(path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "given", ["a", "0" * 128, "A-z_0.9:x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
)
def test_a_sane_request_id_is_kept(http: Client, id: str, given: str) -> None:
    headers = {"x-request-id": given}
    assert http.get("/health", headers=headers).headers["x-request-id"] == given
    assert http.get("/users", headers=headers).headers["x-request-id"] == given
    assert problem_of(http.get(f"/users/{id}", headers=headers), 404, "not_found")["request_id"] == given


@pytest.mark.parametrize(
    "given", ["", "0" * 129, "a b", "a\tb", "<script>", "a/b", "a\xe9", '"a"', "a,b", "{}", "%0d%0a"]
)
def test_another_request_id_is_replaced(http: Client, id: str, given: str) -> None:
    headers = [(b"x-request-id", given.encode("latin-1"))]
    problem = problem_of(http.get(f"/users/{id}", headers=headers), 404, "not_found")
    assert MADE_ID.fullmatch(problem["request_id"])


def test_every_request_has_an_id_of_its_own(http: Client) -> None:
    ids = [http.get("/health").headers["x-request-id"] for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(MADE_ID.fullmatch(id) for id in ids)


def test_of_two_request_ids_one_is_kept(http: Client, id: str) -> None:
    answer = http.get(f"/users/{id}", headers=[("x-request-id", "first"), ("x-request-id", "second")])
    assert problem_of(answer, 404, "not_found")["request_id"] in ("first", "second")
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_the_request_id_reaches_crud(clients: dict[str, Client], id: str) -> None:
    """A 404 is rendered by crud, so its body carries what crud was told."""
    problem = clients["gateway"].get(f"/users/{id}", headers={"x-request-id": id}).json()
    assert problem["request_id"] == id


def test_the_version_and_the_parts_of_each_service_are_told(clients: dict[str, Client]) -> None:
    for name, dependencies in (("gateway", ["crud"]), ("crud", ["database", "administrator key"])):
        version = clients[name].get("/version").json()
        assert version["service"] == name
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", version["version"])
        for path in ("/ready", "/health/detailed"):
            checks = clients[name].get(path).json()["checks"]
            assert [(check["name"], check["ok"], check["error"]) for check in checks] == [
                (dependency, True, None) for dependency in dependencies
            ]
