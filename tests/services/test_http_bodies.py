"""What a request body may be: media types, JSON, rules of the fields, and what an error says of them."""

import pytest
from httpx2 import Client

from tests.services.answers import fields_of, item_of, problem_of
from tests.services.samples import SAMPLES, Sample, tag_of

EACH_SAMPLE = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.collection)
SECRET = "hunter2-do-not-echo"

READ_AS_JSON = [
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json ; charset=utf-8",
]
REFUSED = [
    None,
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/problem+json",
    "application/jsonx",
    "text/json",
    "*/*",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/json, text/plain",
]


@pytest.mark.parametrize("media_type", READ_AS_JSON)
def test_json_is_read_however_its_media_type_is_spelt(http: Client, id: str, media_type: str) -> None:
    body = f'{{"key": "{id}", "value": "ä"}}'.encode()
    created = http.post("/cache", content=body, headers={"content-type": media_type})
    assert item_of(created, 201)["value"] == "ä"


@EACH_SAMPLE
@pytest.mark.parametrize("media_type", REFUSED)
def test_another_media_type_is_refused(http: Client, sample: Sample, id: str, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    for method, path in (
        ("POST", f"/{sample.collection}"),
        ("PUT", sample.path(id)),
        ("PATCH", sample.path(id)),
    ):
        answer = http.request(method, path, content=b'{"a": 1}', headers=headers)
        problem_of(answer, 415, "unsupported_media_type")
        assert "application/json" in answer.headers["accept"]
        assert ("application/merge-patch+json" in answer.headers["accept"]) == (method == "PATCH")


def test_a_merge_patch_is_refused_where_there_is_nothing_to_patch(http: Client, id: str) -> None:
    headers = {"content-type": "application/merge-patch+json"}
    for method, path in (("POST", "/cache"), ("PUT", f"/cache/{id}")):
        problem_of(http.request(method, path, content=b"{}", headers=headers), 415, "unsupported_media_type")


MALFORMED = [
    b"",
    b" ",
    b"{",
    b'{"key": }',
    b"{'key': 1}",
    b'{"key": "a", "value": 1,}',
    b'{"key": "a", "value": 1} x',
    b'{"key": "a", "value": 01}',
    b'{"key": "a", "value": "\xff"}',
    b'{"key": "a", "value": "\\ud800"}',
    b'{"key": "a", "value": "\n"}',
    b"\xef\xbb\xbf{}",
    b'{"key": "a", "value": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"key": "a", "value": ' + b"9" * 10_000 + b"}",
    b"\x00",
    '{"key": "a", "value": 1}'.encode("utf-16"),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
def test_what_is_no_json_is_malformed(http: Client, id: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for method, path in (("POST", "/cache"), ("PUT", f"/cache/{id}"), ("PATCH", f"/cache/{id}")):
        problem = problem_of(http.request(method, path, content=body, headers=headers), 400, "malformed_json")
        assert "errors" not in problem


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused(http: Client, id: str, value: str) -> None:
    headers = {"content-type": "application/json"}
    body = f'{{"key": "{id}", "value": [{{"a": {value}}}]}}'
    answer = http.post("/cache", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_number_beyond_a_double_is_refused_and_the_largest_is_kept(http: Client, id: str) -> None:
    headers = {"content-type": "application/json"}
    problem = problem_of(
        http.post("/cache", content=f'{{"key": "{id}", "value": [1e999]}}', headers=headers), 422, "validation_failed"
    )
    assert fields_of(problem) == {"value"}
    exact = [1.7976931348623157e308, 5e-324, -0.0, 0.1, 2**53 + 1, 10**40, -(2**63) - 1]
    created = http.post("/cache", json={"key": id, "value": exact})
    assert repr(item_of(created, 201)["value"]) == repr(exact)
    assert repr(item_of(http.get(f"/cache/{id}"), 200)["value"]) == repr(exact)


def test_a_whole_number_may_be_spelt_with_a_fraction(http: Client, id: str) -> None:
    """To JSON Schema, and so to every generated client, 603.0 is an integer."""
    headers = {"content-type": "application/json"}
    body = f'{{"dataset_id": "{id}", "name": "n", "size": 603.0}}'
    assert item_of(http.post("/datasets", content=body, headers=headers), 201)["size"] == 603
    refused = http.patch(f"/datasets/{id}", content=b'{"size": 603.5}', headers=headers)
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {"size"}


def test_text_comes_back_as_it_was_sent(http: Client, id: str) -> None:
    texts = [
        "",
        "\u0000",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "\u2028\u202e",
        "<b>&",
        "\\",
    ]
    value = {text: text for text in texts}
    assert item_of(http.post("/cache", json={"key": id, "value": value}), 201)["value"] == value
    assert item_of(http.get(f"/cache/{id}"), 200)["value"] == value


def test_json_may_be_nested_a_hundred_deep_and_no_deeper(http: Client, id: str) -> None:
    def nested(depth: int) -> str:
        return f'{{"key": "{id}", "value": {"[" * depth}{"]" * depth}}}'

    headers = {"content-type": "application/json"}
    problem = problem_of(http.post("/cache", content=nested(101), headers=headers), 422, "validation_failed")
    assert fields_of(problem) == {"value"}
    assert http.post("/cache", content=nested(100), headers=headers).status_code == 201
    assert item_of(http.get(f"/cache/{id}"), 200)["key"] == id


@EACH_SAMPLE
def test_a_missing_field_is_named(http: Client, sample: Sample, id: str) -> None:
    problem = problem_of(http.post(f"/{sample.collection}", json={}), 422, "validation_failed")
    assert fields_of(problem) == {sample.id_field, *sample.required}
    problem = problem_of(http.put(sample.path(id), json={}), 422, "validation_failed")
    assert fields_of(problem) == set(sample.required)


@EACH_SAMPLE
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_unknown_field_is_named(http: Client, sample: Sample, id: str, method: str) -> None:
    path = f"/{sample.collection}" if method == "POST" else sample.path(id)
    answer = http.request(method, path, json={**sample.full(id), "surplus": SECRET})
    assert fields_of(problem_of(answer, 422, "validation_failed")) == {"surplus"}
    assert SECRET not in answer.text


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"', b"[{}]"])
@EACH_SAMPLE
def test_a_body_that_is_no_object_is_refused(http: Client, sample: Sample, body: bytes) -> None:
    answer = http.post(f"/{sample.collection}", content=body, headers={"content-type": "application/json"})
    problem_of(answer, 422, "validation_failed")


BAD_FIELDS = [
    ("cache", {"ttl": 0}, "ttl"),
    ("cache", {"ttl": -1}, "ttl"),
    ("cache", {"ttl": 1.5}, "ttl"),
    ("cache", {"ttl": "60"}, "ttl"),
    ("cache", {"ttl": True}, "ttl"),
    ("cache", {"ttl": 10**12}, "ttl"),
    ("cache", {"tags": SECRET}, "tags"),
    ("cache", {"tags": [SECRET, 1]}, "tags.1"),
    ("cache", {"tags": [""]}, "tags.0"),
    ("cache", {"tags": ["x"] * 65}, "tags"),
    ("cache", {"key": f"{SECRET} with spaces"}, "key"),
    ("cache", {"service": ""}, "service"),
    ("cache", {"service": f"{SECRET}\u0000"}, "service"),
    ("users", {"username": ""}, "username"),
    ("users", {"username": f"{SECRET}\u0007"}, "username"),
    ("users", {"username": SECRET * 20}, "username"),
    ("users", {"email": SECRET}, "email"),
    ("users", {"email": f"{SECRET}@-x"}, "email"),
    ("users", {"email": f"{SECRET}@example.org\n"}, "email"),
    ("users", {"preferences": [SECRET]}, "preferences"),
    ("users", {"settings": None}, "settings"),
    ("models", {"priority": 0}, "priority"),
    ("models", {"priority": 11}, "priority"),
    ("models", {"enabled": "true"}, "enabled"),
    ("models", {"enabled": 1}, "enabled"),
    ("models", {"provider": None}, "provider"),
    ("datasets", {"size": -1}, "size"),
    ("datasets", {"size": 2**53}, "size"),
    ("datasets", {"size": "1"}, "size"),
    ("datasets", {"metadata": SECRET}, "metadata"),
    ("models", {"parameters": {"api_key": "********", "password": SECRET}}, "parameters.api_key"),
    ("models", {"parameters": {"api_key": SECRET, "x": {"$sealed": SECRET}}}, ""),
    ("settings", {"encrypted": SECRET}, "encrypted"),
    ("settings", {"encrypted": True, "setting_value": "********", "description": SECRET}, "setting_value"),
    ("settings", {"setting_value": {"$sealed": SECRET}}, ""),
    ("settings", {"category": SECRET * 20}, "category"),
    ("settings", {"description": 5}, "description"),
]


@pytest.mark.parametrize(("collection", "bad", "field"), BAD_FIELDS, ids=lambda value: repr(value)[:30])
def test_a_bad_field_is_named_and_its_value_is_not(
    http: Client, id: str, collection: str, bad: dict[str, object], field: str
) -> None:
    sample = next(one for one in SAMPLES if one.collection == collection)
    answer = http.post(f"/{collection}", json={**sample.full(id), **bad})
    assert fields_of(problem_of(answer, 422, "validation_failed")) == {field}
    assert SECRET not in answer.text


def test_every_bad_field_is_named_at_once(http: Client, id: str) -> None:
    answer = http.post("/models", json={"model_name": id, "priority": 99, "enabled": 0, "parameters": []})
    problem = problem_of(answer, 422, "validation_failed")
    assert fields_of(problem) == {"provider", "priority", "enabled", "parameters"}


def test_usernames_and_emails_are_taken_whatever_their_case(http: Client, id: str) -> None:
    mail = f"{tag_of(id)}@example.org"
    assert http.post("/users", json={"user_id": id, "username": f"{id}-ß", "email": mail}).status_code == 201
    other = {"user_id": f"{id}-2", "username": f"{id}-ß".upper(), "email": f"2{mail}"}
    assert fields_of(problem_of(http.post("/users", json=other), 409, "already_exists")) == {"username"}
    other = {"user_id": f"{id}-2", "username": f"{id}-2", "email": mail.upper()}
    answer = http.post("/users", json=other)
    assert fields_of(problem_of(answer, 409, "already_exists")) == {"email"}


def test_a_change_that_takes_anothers_name_conflicts(http: Client, id: str) -> None:
    for number in (1, 2):
        body = {"user_id": f"{id}-{number}", "username": f"{id}-{number}", "email": f"{number}{tag_of(id)}@example.org"}
        assert http.post("/users", json=body).status_code == 201
    patched = http.patch(f"/users/{id}-2", json={"username": f"{id}-1"})
    assert fields_of(problem_of(patched, 409, "already_exists")) == {"username"}
    own = http.patch(f"/users/{id}-1", json={"username": f"{id}-1".upper()})
    assert own.status_code == 200
