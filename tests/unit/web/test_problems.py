"""Problem details: as bytes, over raw ASGI, and in the place of FastAPI's own errors."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI, HTTPException
from structlog.testing import capture_logs

from sarvanom.observability.event_lines import write_event_lines
from sarvanom.shared.errors import FieldError, MethodNotAllowed, SarvanOMError, ValidationFailed, error_from_code
from sarvanom.shared.models.crud_models import Problem
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.request_id import RequestIdMiddleware
from sarvanom.web.problems import problem_body, register_problem_handlers, send_problem
from tests.unit.web.asgi import Answer, http_scope


@pytest.mark.parametrize("kind", SarvanOMError.by_code.values())
def test_every_error_survives_the_way_to_the_client(kind: type[SarvanOMError]) -> None:
    body = problem_body(kind("Why", errors=[FieldError("a.b", "Be good")]), "abc")
    problem = Problem.model_validate_json(body, strict=True)
    assert (problem.title, problem.status, problem.request_id) == (kind.title, kind.status, "abc")
    again = error_from_code(problem.code, problem.detail)
    assert type(again) is kind
    assert [one.model_dump() for one in problem.errors] == [{"field": "a.b", "message": "Be good"}]


def test_without_errors_there_is_no_such_member() -> None:
    assert list(orjson.loads(problem_body(ValidationFailed("Why"), ""))) == [
        "type", "title", "status", "code", "detail", "request_id",
    ]  # fmt: skip


async def test_the_headers_of_the_error_are_sent() -> None:
    answer = Answer(http_scope())

    async def send(message: Any) -> None:
        answer.messages.append(message)

    await send_problem(answer.scope, send, MethodNotAllowed("Why", headers={"Allow": "GET"}))
    assert answer.status == 405
    assert answer.headers == {
        "content-type": "application/problem+json",
        "content-length": str(len(answer.body)),
        "allow": "GET",
    }


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(openapi_url=None)
    register_problem_handlers(app)

    @app.put("/items/{number}")
    async def replace_item(number: int, item: dict[str, int]) -> None: ...

    @app.get("/raise/{status}")
    async def raise_status(status: int) -> None:
        if status == 0:
            raise ValueError("password=hunter2")
        if status == 1:
            raise ValidationFailed("Ours", headers={"Retry-After": "1"})
        raise HTTPException(status, "Theirs", headers={"Retry-After": "2"})

    transport = httpx2.ASGITransport(app=RequestIdMiddleware(ProblemMiddleware(app)))
    headers = {"X-Request-ID": "abc"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "route_not_found"
    assert answer.json()["request_id"] == "abc"


async def test_a_wrong_method_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    answer = await client.delete("/items/1")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "PUT"


async def test_what_is_not_valid_is_named_without_its_value(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/items/x", json={"a": "secret"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [one["field"] for one in answer.json()["errors"]] == ["number", "a"]
    assert "secret" not in answer.text


async def test_what_is_no_json_is_malformed(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/items/1", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("status", "answered", "code", "detail", "retry"),
    [
        (1, 422, "validation_failed", "Ours", "1"),
        (409, 409, "already_exists", "Theirs", "2"),
        (418, 418, "im_a_teapot", "Theirs", "2"),
        (503, 503, "service_unavailable", "Theirs", "2"),
    ],
)
async def test_an_error_keeps_its_status_and_headers(
    client: httpx2.AsyncClient, status: int, answered: int, code: str, detail: str, retry: str
) -> None:
    answer = await client.get(f"/raise/{status}")
    assert (answer.status_code, answer.json()["code"]) == (answered, code)
    assert (answer.json()["detail"], answer.headers["retry-after"]) == (detail, retry)


async def test_an_unforeseen_error_is_logged_once_and_says_nothing(client: httpx2.AsyncClient) -> None:
    end = write_event_lines()
    with capture_logs() as lines:
        answer = await client.get("/raise/0")
    end()
    assert answer.status_code == 500
    assert answer.json()["detail"] == "Request abc failed; the log says why"
    assert [line["event"] for line in lines] == ["unhandled exception"]
