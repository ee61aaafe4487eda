"""Inspection in a running gateway, and what protects where it does not: bound parameters, JSON that is not sniffed."""

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS
from tests.harness.system import RunningProcess
from tests.services.answers import data_of, problem_of
from tests.services.edge_gateways import running_gateway

SQL = "Robert'); DROP TABLE users; --"
XSS = "<img src=seven onerror=alert(7)>"
HOSTILE = f"{SQL} {XSS} \u2028 \u0000 \u00e9 ' or 7=7 union select * from users"
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def open_gateway(system: RunningProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A gateway that inspects nothing."""
    settings = {"SARVANOM_INSPECTION_STRICT": "off", "SARVANOM_INSPECTION_FREE": "off"}
    with (
        running_gateway(tmp_path_factory.mktemp("open"), system.crud_port, **settings) as running,
        httpx2.Client(base_url=running.gateway_url, timeout=20, headers=ADMIN_HEADERS) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def closed_gateway(system: RunningProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A gateway that blocks everywhere."""
    settings = {"SARVANOM_INSPECTION_FREE": "block"}
    with (
        running_gateway(tmp_path_factory.mktemp("closed"), system.crud_port, **settings) as running,
        httpx2.Client(base_url=running.gateway_url, timeout=20, headers=ADMIN_HEADERS) as client,
    ):
        yield client


def inspected_lines(process: RunningProcess, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of the log that tell of what this request held; the request's own line comes after them."""
    deadline = time.monotonic() + 5
    while True:
        lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
        found = [line for line in lines if line.get("request_id") == request_id]
        if any(line["event"] == "request" for line in found) or time.monotonic() > deadline:
            return [line for line in found if line["event"] == "content inspected"]
        time.sleep(0.01)


def test_a_name_that_is_an_attack_is_refused_and_not_stored(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    body = {"user_id": id, "username": SQL, "email": f"{id}@example.org"}
    answer = gateway.post("/users", json=body, headers={"x-request-id": id})
    problem = problem_of(answer, 403, "content_blocked")
    assert [error["field"] for error in problem["errors"]] == ["/username"]
    assert problem["request_id"] == id
    assert "DROP" not in answer.text
    assert gateway.get(f"/users/{id}").status_code == 404
    (line,) = inspected_lines(system, id)
    told = {name: line[name] for name in ("family", "pointer", "profile", "action", "sha256", "length")}
    assert told == {
        "family": "sqli",
        "pointer": "/username",
        "profile": "strict",
        "action": "block",
        "sha256": hashlib.sha256(SQL.encode()).hexdigest(),
        "length": len(SQL),
    }
    assert line["rules"]
    assert not any(rule in answer.text for rule in line["rules"])
    assert "DROP TABLE users" not in json.dumps(line)


def test_an_answer_that_is_an_attack_is_told_of_and_stored_as_it_is(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    value = {"text": HOSTILE, XSS: [SQL]}
    created = gateway.post("/cache", json={"key": id, "value": value}, headers={"x-request-id": id})
    assert data_of(created, 201)["value"] == value
    assert {line["action"] for line in inspected_lines(system, id)} == {"detect"}
    assert XSS not in json.dumps(inspected_lines(system, id))
    read = gateway.get(f"/cache/{id}")
    assert data_of(read, 200)["value"] == value
    assert read.headers["content-type"] == "application/json"
    assert read.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in read.headers["content-security-policy"]


def test_a_path_a_parameter_and_a_header_are_refused(gateway: httpx2.Client) -> None:
    answers = {
        "path": gateway.get("/users/x' or 7=7 --"),
        "query/name": gateway.get("/datasets", params={"name": SQL}),
        "query": gateway.get("/datasets", params={XSS: "1"}),
        "header/user-agent": gateway.get("/health", headers={"user-agent": SQL}),
    }
    for field, answer in answers.items():
        assert [error["field"] for error in problem_of(answer, 403, "content_blocked")["errors"]] == [field]


def test_a_secret_is_never_looked_at(gateway: httpx2.Client, system: RunningProcess, id: str) -> None:
    headers = {"authorization": f"Bearer {SQL}", "cookie": f"session={SQL}", "x-request-id": id}
    assert gateway.get("/health", headers=headers).status_code == 200
    assert inspected_lines(system, id) == []


def test_a_line_that_is_an_attack_is_refused_alone(gateway: httpx2.Client, id: str) -> None:
    names = [f"{id}-1", SQL, f"{id}-3"]
    lines = [
        json.dumps({"user_id": f"{id}-{number}", "username": name, "email": f"{id}-{number}@example.org"})
        for number, name in enumerate(names, 1)
    ]
    answer = gateway.post("/users", content="\n".join(lines), headers=NDJSON)
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [(result["line"], result["status"]) for result in results] == [(1, 201), (2, 403), (3, 201)]
    assert (results[1]["outcome"], results[1]["code"]) == ("refused", "content_blocked")
    assert [error["field"] for error in results[1]["errors"]] == ["/username"]
    assert [gateway.get(f"/users/{id}-{number}").status_code for number in (1, 2, 3)] == [200, 404, 200]


def test_free_text_is_blocked_where_a_setting_says_so(closed_gateway: httpx2.Client, id: str) -> None:
    body = {"setting_key": id, "setting_value": {"a": ["fine", XSS]}}
    problem = problem_of(closed_gateway.post("/settings", json=body), 403, "content_blocked")
    assert [error["field"] for error in problem["errors"]] == ["/setting_value/a/1"]
    patch = closed_gateway.patch(f"/settings/{id}", json={"description": SQL})
    assert problem_of(patch, 403, "content_blocked")["errors"][0]["field"] == "/description"


def test_what_passes_reaches_the_database_as_a_value_and_comes_back_byte_for_byte(
    open_gateway: httpx2.Client, gateway: httpx2.Client, id: str
) -> None:
    hostile = HOSTILE.replace("\u0000", "")
    name = f"{id} {hostile}"
    dataset = {"dataset_id": id, "name": name, "description": hostile, "metadata": {hostile: hostile}}
    created = open_gateway.post("/datasets", json=dataset)
    assert {name: data_of(created, 201)[name] for name in dataset} == dataset
    for client in (open_gateway, gateway):
        read = client.get(f"/datasets/{id}")
        assert {name: data_of(read, 200)[name] for name in dataset} == dataset
        assert read.headers["content-type"] == "application/json"
        assert read.headers["x-content-type-options"] == "nosniff"
    found = open_gateway.get("/datasets", params={"name": name, "sort": "name", "fields": "name"})
    assert [item["dataset_id"] for item in data_of(found, 200)["items"]] == [id]
    prefix = open_gateway.get("/datasets", params={"name__prefix": f"{id} Robert')"})
    assert [item["dataset_id"] for item in data_of(prefix, 200)["items"]] == [id]
    nothing = open_gateway.get("/datasets", params={"name": f"{id}' or '7'='7"})
    assert data_of(nothing, 200)["items"] == []
    assert open_gateway.get("/users?limit=1").status_code == 200
