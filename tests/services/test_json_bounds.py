"""JSON that readers take for different things, or choke on, sent through real sockets."""

from collections.abc import Iterator

import httpx2
import pytest
from httpx2 import Client

from tests.harness.system import RunningProcess
from tests.services.answers import fields_of, item_of, problem_of
from tests.services.duplex import duplex

HEADERS = {"content-type": "application/json"}
DIGITS = "9" * 1_000_000


@pytest.mark.parametrize(
    ("members", "field", "pointer"),
    [
        ('"value": 1, "value": 2', "value", "/value"),
        ('"value": 1, "v\\u0061lue": 2', "value", "/value"),
        ('"value": {"a": {"b/c": 1, "b/c": 1}}', "value.a.b/c", "/value/a/b~1c"),
        ('"value": [0, {"a": 1, "a": 2}]', "value.1.a", "/value/1/a"),
        ('"value": 1, "surplus": {"a": 1, "a": 2}', "surplus.a", "/surplus/a"),
    ],
)
def test_a_key_that_stands_twice_is_refused(http: Client, id: str, members: str, field: str, pointer: str) -> None:
    for method, path, own in (
        ("POST", "/cache", f'"key": "{id}", '),
        ("PUT", f"/cache/{id}", ""),
        ("PATCH", f"/cache/{id}", ""),
    ):
        answer = http.request(method, path, content=f"{{{own}{members}}}", headers=HEADERS)
        problem = problem_of(answer, 422, "validation_failed")
        assert fields_of(problem) == {field}
        assert problem["detail"].endswith(f": {pointer}")
    problem_of(http.get(f"/cache/{id}"), 404, "not_found")


def test_the_same_key_in_two_objects_is_none(http: Client, id: str) -> None:
    value = {"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}
    assert item_of(http.post("/cache", json={"key": id, "value": value}), 201)["value"] == value


@pytest.mark.parametrize("port", ["gateway_port", "crud_port"])
def test_a_line_in_which_a_key_stands_twice_is_refused_and_the_others_are_not(
    system: RunningProcess, id: str, port: str
) -> None:
    lines = [f'{{"key": "{id}-{n}", "value": 1}}'.encode() for n in range(2)]
    lines.insert(1, f'{{"key": "{id}", "key": "{id}-x", "value": 1}}'.encode())
    with duplex(getattr(system, port), "/cache") as stream:
        stream.send(*lines).end().read_head()
        results = stream.rest()
    assert [result["outcome"] for result in results] == ["created", "refused", "created"]
    assert results[1]["code"] == "validation_failed"


def test_keys_are_bounded(http: Client, id: str) -> None:
    def sent(count: int) -> httpx2.Response:
        members = ",".join(f'"{number}":0' for number in range(count))
        body = f'{{"key":"{id}","value":{{{members}}}}}'
        return http.post("/cache", content=body, headers=HEADERS, timeout=60)

    problem_of(sent(100_000), 422, "validation_failed")
    assert sent(99_000).status_code == 201
    http.delete(f"/cache/{id}")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("1e999", 422),
        ("-1e999", 422),
        ("[[1e400]]", 422),
        ("NaN", 422),
        ("-Infinity", 422),
        ("nan", 400),
        (DIGITS, 400),
        (f"1{'0' * 400}.0", 422),
        (f"0.{DIGITS}", 201),
        ("1e-999", 201),
        ('"\\ud800"', 400),
        ('"\\udc00\\ud800"', 400),
        ('{"\\ud800": 1}', 400),
        ('"\\ud83d\\ude00"', 201),
        ('"\\u0000"', 201),
        ('{"\\u0000": "\\u0000"}', 201),
        ('"\x00"', 400),
        ("\x00", 400),
        ('"\ufeff"', 201),
        ("[" * 101 + "]" * 101, 422),
        ("[" * 1_000_000, 400),
        ('{"a":' * 1_000_000, 400),
        ("[" * 5000 + "]" * 5000, 400),
        ("1" + " " * 1_000_000, 201),
    ],
    ids=lambda value: str(value)[:16],
)
def test_numbers_text_and_depth_have_their_bounds(http: Client, id: str, value: str, status: int) -> None:
    body = f'{{"key": "{id}", "value": {value}}}'.encode()
    answer = http.post("/cache", content=body, headers=HEADERS, timeout=60)
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.content) < 3_000_000
    if status == 201:
        assert http.get(f"/cache/{id}").status_code == 200
        http.delete(f"/cache/{id}")


@pytest.fixture
def stored(gateway: Client, id: str) -> Iterator[str]:
    """The id of a user that may be patched."""
    gateway.post("/users", json={"user_id": id, "username": id, "email": f"{id}@example.org"})
    yield id
    gateway.delete(f"/users/{id}")


@pytest.mark.parametrize("value", ["1e999", "NaN", DIGITS, '"\\ud800"', "[" * 200 + "]" * 200])
def test_a_patch_has_the_same_bounds(http: Client, stored: str, value: str) -> None:
    body = f'{{"preferences": {{"a": {value}}}}}'
    answer = http.patch(f"/users/{stored}", content=body, headers=HEADERS)
    assert answer.status_code in (400, 422)
    assert item_of(http.get(f"/users/{stored}"), 200)["preferences"] == {}
