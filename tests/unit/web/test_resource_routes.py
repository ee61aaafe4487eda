"""The routes of the five resources: which there are, what they answer, and what OpenAPI says of them."""

from typing import Any

import pytest
from starlette.types import ASGIApp

from sarvanom.shared.errors import ResourceNotFound
from sarvanom.shared.resources import RESOURCES, Resource
from sarvanom.web.calls import Answer, Operation, ResourceCall
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Service
from tests.unit.web.asgi import Known, ask, http_scope

AS_JSON = [(b"content-type", b"application/json")]
STATUS = {Operation.CREATE: 201, Operation.DELETE: 204}


class Performing:
    """Notes the calls and answers them all alike."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.calls: list[ResourceCall] = []
        self.answer = answer or Answer(200, [(b"etag", b'"7"')], b"{}")

    async def __call__(self, call: ResourceCall) -> Answer:
        self.calls.append(call)
        if call.id == "missing":
            raise ResourceNotFound("There is none")
        return self.answer


def make_app(performing: Performing) -> Service:
    app = Service(edge=[ProblemMiddleware, Known])
    add_resource_routes(app, performing)
    return app


@pytest.fixture
def performing() -> Performing:
    return Performing()


@pytest.fixture
def app(performing: Performing) -> ASGIApp:
    return make_app(performing)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_app(Performing()).openapi()


REQUESTS = [
    ("GET", "", Operation.LIST),
    ("HEAD", "", Operation.LIST),
    ("GET", "/a/b", Operation.READ),
    ("HEAD", "/a", Operation.READ),
    ("DELETE", "/a", Operation.DELETE),
]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(("method", "path", "operation"), REQUESTS)
async def test_request_becomes_one_call(
    app: ASGIApp, performing: Performing, resource: Resource[Any], method: str, path: str, operation: Operation
) -> None:
    answer = await ask(app, http_scope(method, f"/{resource.collection}{path}"))
    assert [(call.operation, call.resource, call.id) for call in performing.calls] == [(operation, resource, path[1:])]
    assert answer.headers == {"etag": '"7"', "content-length": "2"}
    assert answer.body == (b"" if method == "HEAD" else b"{}")


async def test_bodies_reach_their_calls(app: ASGIApp, performing: Performing) -> None:
    for method, path in (("POST", ""), ("PUT", "/s"), ("PATCH", "/s")):
        body = [b'{"setting_key": "s", ', b'"setting_value": 1}']
        assert (await ask(app, http_scope(method, f"/settings{path}", AS_JSON), body=body)).status == 200
    assert [call.operation for call in performing.calls] == [Operation.CREATE, Operation.REPLACE, Operation.PATCH]
    assert [call.id for call in performing.calls] == ["", "s", "s"]
    items = [call.parse_item() for call in performing.calls]
    assert [(item.setting_key, item.setting_value) for item in items[:2]] == [("s", 1)] * 2
    assert items[2] == {"setting_key": "s", "setting_value": 1}


async def test_only_the_cache_is_invalidated_and_counted(app: ASGIApp, performing: Performing) -> None:
    await ask(app, http_scope("DELETE", "/cache", query_string=b"tag=a"))
    await ask(app, http_scope("GET", "/cache-stats"))
    assert [call.operation for call in performing.calls] == [Operation.INVALIDATE, Operation.STATS]
    assert (await ask(app, http_scope("DELETE", "/users"))).status == 405
    assert (await ask(app, http_scope("GET", "/users-stats"))).status == 404


@pytest.mark.parametrize("status", [204, 304])
async def test_answer_without_a_body_has_no_length(status: int) -> None:
    answer = await ask(make_app(Performing(Answer(status, []))), http_scope("GET", "/users/a"))
    assert (answer.status, answer.headers, answer.body) == (status, {}, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_refusal_is_a_problem(app: ASGIApp, method: str) -> None:
    answer = await ask(app, http_scope(method, "/users/missing"))
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.body == b"") is (method == "HEAD")


async def test_request_that_is_wrong_never_becomes_a_call(app: ASGIApp, performing: Performing) -> None:
    for method, path in (("POST", "/users"), ("PUT", "/users/a"), ("GET", "/users/a//b"), ("GET", "/users/")):
        assert 400 <= (await ask(app, http_scope(method, path))).status < 500
    assert performing.calls == []


def test_document_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    expected = {"/cache-stats": {"get"}}
    for resource in RESOURCES:
        expected[f"/{resource.collection}"] = {"get", "post"} | (
            {"delete"} if resource.collection == "cache" else set()
        )
        item = f"/{resource.collection}/{{{resource.id_field}}}"
        expected[item] = {"get", "patch", "delete"} | (set() if resource.grants else {"put"})
        if resource.is_issued:
            expected[f"{item}/rotate"] = {"post"}
    assert {path: set(methods) for path, methods in document["paths"].items()} == expected


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def test_operations_have_ids_and_summaries_of_their_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"create_user", "read_cache_entry", "list_models", "invalidate_cache", "stats_cache"} <= set(ids)
    assert all(operation["summary"] for operation in operations(document))


def test_errors_of_every_operation_are_problems(document: dict[str, Any]) -> None:
    for operation in operations(document):
        failures = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert {"502", "503", "504"} <= set(failures)
        for answer in failures.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def test_every_operation_declares_its_success(document: dict[str, Any]) -> None:
    for operation in operations(document):
        name = Operation(operation["operationId"].split("_")[0])
        assert str(STATUS.get(name, 200)) in operation["responses"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_items_have_an_id_and_conditions(document: dict[str, Any], resource: Resource[Any]) -> None:
    item = document["paths"][f"/{resource.collection}/{{{resource.id_field}}}"]
    names = {method: {(one["in"], one["name"]) for one in item[method]["parameters"]} for method in item}
    path = ("path", resource.id_field)
    expected = {path, ("header", "if-none-match"), ("header", "if-match")}
    past = {("query", "at_revision")} if resource.is_logged else set()
    secrets = {("query", "reveal")} if resource.is_revealable else set()
    assert names["get"] == expected | past | secrets
    for method in item.keys() - {"get"}:
        assert names[method] == expected | {("header", "idempotency-key")}


@pytest.mark.parametrize("resource", RESOURCES)
def test_bodies_are_of_the_models_that_callers_send(document: dict[str, Any], resource: Resource[Any]) -> None:
    name = resource.model.__name__
    item = document["paths"][f"/{resource.collection}/{{{resource.id_field}}}"]
    create = document["paths"][f"/{resource.collection}"]["post"]
    patch = item["patch"]["requestBody"]["content"]
    reference = {"schema": {"$ref": f"#/components/schemas/{name}Patch"}}
    assert patch == {"application/json": reference, "application/merge-patch+json": reference}
    assert ("put" in item) is not resource.grants
    for operation, model in ((create, f"{name}Write"), (item.get("put"), f"{name}Replace")):
        if operation is None:
            continue
        assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{model}")


@pytest.mark.parametrize("resource", RESOURCES)
def test_list_declares_a_parameter_for_every_filter(document: dict[str, Any], resource: Resource[Any]) -> None:
    names = {one["name"] for one in document["paths"][f"/{resource.collection}"]["get"]["parameters"]}
    assert {"limit", "cursor", "skip", "sort", "fields", "include_total", "service", "service__in"} <= names
    assert {f"{resource.id_field}__prefix", "created_at__gte", "revision__lte"} <= names
