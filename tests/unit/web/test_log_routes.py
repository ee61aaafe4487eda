"""The routes of the log: which there are, and what OpenAPI says of them."""

from typing import Any

import pytest

from sarvanom.web.calls import Answer
from sarvanom.web.log_calls import LogCall, LogOperation
from sarvanom.web.log_routes import add_log_routes
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.service import Service
from tests.unit.web.asgi import Known, ask, http_scope


class Performing:
    """Notes the calls and answers them all alike."""

    def __init__(self) -> None:
        self.calls: list[LogCall] = []

    async def __call__(self, call: LogCall) -> Answer:
        self.calls.append(call)
        return Answer(200, [], b"{}")


def make_app(performing: Performing) -> Service:
    app = Service(edge=[ProblemMiddleware, Known])
    add_log_routes(app, performing)
    return app


@pytest.fixture(scope="module")
def paths() -> Any:
    return make_app(Performing()).openapi()["paths"]


async def test_requests_become_calls() -> None:
    performing = Performing()
    app = make_app(performing)
    for method, path in (("GET", "/changes"), ("HEAD", "/changes"), ("POST", "/revisions/7/revert")):
        assert (await ask(app, http_scope(method, path))).status == 200
    assert [call.operation for call in performing.calls] == [*["changes"] * 2, LogOperation.REVERT]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/changes", 405),
        ("GET", "/changes/7", 404),
        ("GET", "/revisions/7/revert", 405),
        ("POST", "/revisions/7", 404),
        ("POST", "/revisions", 404),
        ("POST", "/revisions/0/revert", 422),
    ],
)
async def test_what_there_is_not_is_refused(method: str, path: str, status: int) -> None:
    performing = Performing()
    assert (await ask(make_app(performing), http_scope(method, path))).status == status
    assert performing.calls == []


def test_document_tells_of_pages_and_streams(paths: Any) -> None:
    changes = paths["/changes"]["get"]
    names = {(one["in"], one["name"]) for one in changes["parameters"]}
    queries = {("query", name) for name in ("since", "resource", "id", "service", "limit")}
    assert names == queries | {("header", "last-event-id")}
    assert set(changes["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert {"410", "422", "503"} <= set(changes["responses"])


def test_document_tells_of_reverts(paths: Any) -> None:
    revert = paths["/revisions/{revision}/revert"]["post"]
    assert {one["name"] for one in revert["parameters"]} == {"revision", "idempotency-key"}
    assert {"404", "409", "410", "422"} <= set(revert["responses"])
    assert set(revert["responses"]["200"]["headers"]) == {"SarvanOM-Revision", "Idempotency-Replayed"}
