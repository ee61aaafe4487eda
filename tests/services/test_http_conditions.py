"""Conditional requests (RFC 9110, section 13) over HTTP, against both services."""

import pytest
from httpx2 import Client, Response

from tests.services.answers import item_of, problem_of

HOLDS = ['"{}"', '"0", "{}"', '"{}","0"', '"0" ,\t"{}"', "*", '"a,b", "{}"']
STRONG_FAILS = ['"0"', 'W/"{}"', '"0{}"', '"{}x"', '""', '"0", "1"', 'W/"{}", "0"', '"x{}"']
MALFORMED = [
    "",
    "{}",
    "'{}'",
    '"{}',
    '{}"',
    '"{}" "0"',
    '"{}";"0"',
    'w/"{}"',
    'W"{}"',
    '*, "{}"',
    '"{}", *',
    "**",
    '"a b"',
    '"{}", x',
]


@pytest.fixture
def tag(http: Client, id: str) -> str:
    """The entity tag of a setting that exists, without its quotes."""
    created = http.post("/settings", json={"setting_key": id, "setting_value": 1})
    assert created.status_code == 201
    return created.headers["etag"].strip('"')


def write(http: Client, method: str, id: str, headers: dict[str, str]) -> Response:
    """Send a write that would succeed without these headers."""
    body = {"setting_value": 2} if method in ("PUT", "PATCH") else None
    return http.request(method, f"/settings/{id}", json=body, headers=headers)


WRITES = pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])


@WRITES
@pytest.mark.parametrize("template", HOLDS)
def test_a_write_is_carried_out_if_a_tag_matches(http: Client, id: str, tag: str, method: str, template: str) -> None:
    written = write(http, method, id, {"if-match": template.format(tag)})
    assert written.status_code == (204 if method == "DELETE" else 200)


@WRITES
@pytest.mark.parametrize("template", STRONG_FAILS)
def test_a_write_is_refused_if_no_tag_matches_strongly(
    http: Client, id: str, tag: str, method: str, template: str
) -> None:
    problem_of(write(http, method, id, {"if-match": template.format(tag)}), 412, "precondition_failed")
    assert http.get(f"/settings/{id}").headers["etag"] == f'"{tag}"'


@WRITES
@pytest.mark.parametrize("template", [*HOLDS, 'W/"{}"', 'W/"0", W/"{}"'])
def test_a_write_is_refused_if_a_tag_matches_that_must_not(
    http: Client, id: str, tag: str, method: str, template: str
) -> None:
    problem_of(write(http, method, id, {"if-none-match": template.format(tag)}), 412, "precondition_failed")
    assert http.get(f"/settings/{id}").headers["etag"] == f'"{tag}"'


@WRITES
def test_a_write_is_carried_out_if_no_tag_matches_that_must_not(http: Client, id: str, tag: str, method: str) -> None:
    written = write(http, method, id, {"if-none-match": f'"0{tag}", "x"'})
    assert written.status_code == (204 if method == "DELETE" else 200)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
@pytest.mark.parametrize("template", MALFORMED)
def test_a_malformed_condition_is_refused(
    http: Client, id: str, tag: str, method: str, name: str, template: str
) -> None:
    answer = write(http, method, id, {name: template.format(tag)})
    assert answer.status_code == 400
    if method != "HEAD":
        problem = problem_of(answer, 400, "invalid_header")
        assert name in problem["detail"].lower()
    assert http.get(f"/settings/{id}").headers["etag"] == f'"{tag}"'


@WRITES
def test_a_condition_on_what_is_not_there_is_404(http: Client, id: str, method: str) -> None:
    for headers in ({"if-match": '"1"'}, {"if-match": "*"}, {"if-none-match": '"1"'}):
        problem_of(write(http, method, id, headers), 404, "not_found")


def test_a_creation_that_must_also_match_is_refused(http: Client, id: str) -> None:
    answer = write(http, "PUT", id, {"if-none-match": "*", "if-match": '"1"'})
    problem_of(answer, 412, "precondition_failed")
    problem_of(http.get(f"/settings/{id}"), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("template", [*HOLDS, 'W/"{}"', '"0", W/"{}"'])
def test_a_reader_that_has_the_revision_gets_304(http: Client, id: str, tag: str, method: str, template: str) -> None:
    answer = http.request(method, f"/settings/{id}", headers={"if-none-match": template.format(tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{tag}"'
    assert not {"content-type", "content-length"} & set(answer.headers)


@pytest.mark.parametrize("template", ['"0"', '"0{}"', '""', 'W/"0"', '"x", "y"'])
def test_a_reader_that_has_another_revision_gets_the_resource(http: Client, id: str, tag: str, template: str) -> None:
    read = http.get(f"/settings/{id}", headers={"if-none-match": template.format(tag)})
    assert item_of(read, 200)["setting_value"] == 1


def test_conditions_in_several_header_lines_are_one_list(http: Client, id: str, tag: str) -> None:
    lines = [("if-none-match", '"0"'), ("if-none-match", f'"{tag}"')]
    assert http.get(f"/settings/{id}", headers=lines).status_code == 304
    problem_of(http.delete(f"/settings/{id}", headers=lines), 412, "precondition_failed")
    lines = [("if-match", '"0"'), ("if-match", f'"{tag}"')]
    assert http.delete(f"/settings/{id}", headers=lines).status_code == 204


def test_a_lost_update_is_impossible_with_if_match(http: Client, id: str, tag: str) -> None:
    mine = http.put(f"/settings/{id}", json={"setting_value": "mine"}, headers={"if-match": f'"{tag}"'})
    assert mine.status_code == 200
    theirs = http.put(f"/settings/{id}", json={"setting_value": "theirs"}, headers={"if-match": f'"{tag}"'})
    problem = problem_of(theirs, 412, "precondition_failed")
    assert mine.headers["etag"].strip('"') in problem["detail"]
    assert item_of(http.get(f"/settings/{id}"), 200)["setting_value"] == "mine"


def test_a_star_in_quotes_is_a_tag_and_no_wildcard(http: Client, id: str, tag: str) -> None:
    """RFC 9110, 8.8.3: an opaque tag may hold a star, and `*` alone is the wildcard."""
    problem_of(write(http, "PUT", id, {"if-match": '"*"'}), 412, "precondition_failed")
    assert http.get(f"/settings/{id}", headers={"if-none-match": '"*"'}).status_code == 200
    assert write(http, "PATCH", id, {"if-none-match": '"*"'}).status_code == 200
    absent = write(http, "PUT", f"{id}-absent", {"if-none-match": '"*"'})
    problem_of(absent, 404, "not_found")


def test_empty_elements_of_a_list_are_ignored(http: Client, id: str, tag: str) -> None:
    """RFC 9110, 5.6.1.2: a recipient must parse and ignore a reasonable number of empty list elements."""
    for template in (', "{}"', '"{}",', '"0",, "{}"'):
        answer = http.get(f"/settings/{id}", headers={"if-none-match": template.format(tag)})
        assert answer.status_code == 304, template


def test_a_read_that_must_match_and_does_not_is_refused(http: Client, id: str, tag: str) -> None:
    """RFC 9110, 13.1.1: an origin server must not perform a method whose If-Match is false, reading included."""
    assert http.get(f"/settings/{id}", headers={"if-match": f'"{tag}"'}).status_code == 200
    problem_of(http.get(f"/settings/{id}", headers={"if-match": f'"0{tag}"'}), 412, "precondition_failed")
