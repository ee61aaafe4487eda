"""A caller that is bound to services: it sees and changes theirs, and of the rest not even that it is there."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from sarvanom.shared.clients.service_client import ServiceClientFactory
from sarvanom.shared.models.crud_models import SystemSetting
from tests.harness.system import RunningProcess
from tests.services.answers import data_of, items_of, problem_of
from tests.services.keys import make_key, using
from tests.services.logins import PASSWORD
from tests.services.samples import SAMPLES, Sample, tag_of

NDJSON = {"content-type": "application/x-ndjson"}
LINES = {"accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def bound(clients: dict[str, httpx2.Client], system: RunningProcess) -> Iterator[httpx2.Client]:
    """An editor that is bound to `ours` and `also`."""
    key = make_key(clients["gateway"], "bound", roles=["editor"], services=["ours", "also"])
    with using(system.gateway_url, key["key"]) as client:
        yield client


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.collection)
def sample(request: pytest.FixtureRequest) -> Sample:
    chosen: Sample = request.param
    return chosen


def test_what_is_theirs_is_as_ever(bound: httpx2.Client, sample: Sample, id: str) -> None:
    body = {**sample.full(id), "service": "ours"}
    assert bound.post(f"/{sample.collection}", json=body).status_code == 201
    assert bound.get(sample.path(id)).status_code == 200
    name, value = sample.changed
    patched = data_of(bound.patch(sample.path(id), json={name: value}), 200)
    assert patched[name] == value or patched[name].items() >= value.items()
    assert data_of(bound.patch(sample.path(id), json={"service": "also"}), 200)["service"] == "also"
    assert bound.put(sample.path(id), json=body).status_code == 200
    assert bound.delete(sample.path(id)).status_code == 204


def test_what_is_foreign_is_not_there(gateway: httpx2.Client, bound: httpx2.Client, sample: Sample, id: str) -> None:
    foreign = {**sample.full(id), "service": "theirs"}
    created = gateway.post(f"/{sample.collection}", json=foreign)
    ours = {**foreign, "service": "ours"}
    for answer in (
        bound.get(sample.path(id)),
        bound.put(sample.path(id), json=ours),
        bound.patch(sample.path(id), json={"service": "ours"}),
        bound.delete(sample.path(id)),
        bound.delete(sample.path(id), headers={"if-match": created.headers["etag"]}),
    ):
        problem = problem_of(answer, 404, "not_found")
        assert problem["detail"] == problem_of(bound.get(sample.path(id)), 404, "not_found")["detail"]
    if sample.collection != "cache":
        past = bound.get(sample.path(id), params={"at_revision": created.headers["sarvanom-revision"]})
        problem_of(past, 404, "not_found")
    problem_of(bound.post(f"/{sample.collection}", json=ours), 409, "already_exists")
    tags = ("*", created.headers["etag"], '"0"')
    asked = [*({"if-match": tag} for tag in tags), *({"if-none-match": tag} for tag in tags)]
    for headers in [*asked, *({"if-match": tag, "if-none-match": "*"} for tag in tags)]:
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            body = {"PUT": ours, "PATCH": {}}.get(method)
            answer = bound.request(method, sample.path(id), json=body, headers=headers)
            is_creation = method == "PUT" and headers.get("if-none-match") == "*"
            assert answer.status_code == (409 if is_creation else 404), (method, headers, answer.text)
            assert not {"etag", "sarvanom-revision"} & set(answer.headers)
            assert "revision" not in answer.text
    assert gateway.get(sample.path(id)).headers["etag"] == created.headers["etag"]


def test_nothing_is_given_to_others(bound: httpx2.Client, sample: Sample, id: str) -> None:
    ours = {**sample.full(id), "service": "ours"}
    for service in ("theirs", "default"):
        problem_of(bound.post(f"/{sample.collection}", json={**ours, "service": service}), 403, "forbidden")
    created = bound.post(f"/{sample.collection}", json=ours)
    assert created.status_code == 201
    problem_of(bound.patch(sample.path(id), json={"service": "theirs"}), 403, "forbidden")
    problem_of(bound.patch(sample.path(id), json={"service": None}), 403, "forbidden")
    problem_of(bound.put(sample.path(id), json={**ours, "service": "theirs"}), 403, "forbidden")
    lines = b"".join(
        json.dumps({**sample.full(f"{id}-{service}"), "service": service}).encode() + b"\n"
        for service in ("also", "theirs", "default")
    )
    answer = bound.post(f"/{sample.collection}", content=lines, headers=NDJSON)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [201, 403, 403]
    assert bound.get(sample.path(id)).headers["etag"] == created.headers["etag"]


def test_whoever_is_bound_to_several_services_is_told_to_name_one(
    bound: httpx2.Client, sample: Sample, id: str
) -> None:
    body = {name: value for name, value in sample.full(id).items() if name != "service"}
    for answer in (
        bound.post(f"/{sample.collection}", json=body),
        bound.put(sample.path(id), json=body, headers={"if-none-match": "*"}),
    ):
        detail = problem_of(answer, 403, "forbidden")["detail"]
        assert detail.endswith("would be 'default', as none was named; the caller is bound to also, ours")
    named = bound.post(f"/{sample.collection}", json={**body, "service": "theirs"})
    detail = problem_of(named, 403, "forbidden")["detail"]
    assert detail.endswith("would be 'theirs'; the caller is bound to also, ours")


def test_whoever_is_bound_to_one_service_need_not_name_it(
    gateway: httpx2.Client, system: RunningProcess, sample: Sample, id: str
) -> None:
    key = make_key(gateway, roles=["editor"], services=["only"])
    body = {name: value for name, value in sample.full(id).items() if name != "service"}
    line = json.dumps({name: value for name, value in sample.full(f"{id}-line").items() if name != "service"})
    with using(system.gateway_url, key["key"]) as client:
        assert data_of(client.post(f"/{sample.collection}", json=body), 201)["service"] == "only"
        assert data_of(client.put(sample.path(id), json=body), 200)["service"] == "only"
        problem_of(client.post(f"/{sample.collection}", json={**body, "service": "default"}), 403, "forbidden")
        imported = client.post(f"/{sample.collection}", content=line, headers=NDJSON)
        assert json.loads(imported.text)["status"] == 201
        assert data_of(client.get(sample.path(f"{id}-line")), 200)["service"] == "only"


async def test_python_client_of_one_service_need_not_name_it(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    key = make_key(gateway, roles=["editor"], services=["only"])
    async with ServiceClientFactory().crud(url=system.gateway_url, api_key=key["key"]) as client:
        made = await client.settings.create(SystemSetting(setting_key=id, setting_value=1))
        assert made.service == "only"
        results = client.settings.import_items([SystemSetting(setting_key=f"{id}-2", setting_value=1)])
        assert [result.status async for result in results] == [201]


def test_whoever_administers_one_service_makes_keys_and_accounts_of_it(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    key = make_key(gateway, scopes=["keys:admin"], services=["only"])
    with using(system.gateway_url, key["key"]) as client:
        assert make_key(client, services=["only"])["service"] == "only"
        account = {"account_id": id, "password": PASSWORD, "services": ["only"]}
        assert data_of(client.post("/accounts", json=account), 201)["service"] == "only"


@pytest.mark.parametrize(("on_conflict", "status"), [("error", 409), ("skip", 403), ("replace", 403)])
def test_lines_do_not_touch_what_is_foreign(
    gateway: httpx2.Client, bound: httpx2.Client, id: str, on_conflict: str, status: int
) -> None:
    gateway.post("/settings", json={"setting_key": id, "setting_value": 1, "service": "theirs"})
    line = json.dumps({"setting_key": id, "setting_value": 2, "service": "ours"})
    answer = bound.post(f"/settings?on_conflict={on_conflict}", content=line, headers=NDJSON)
    result = json.loads(answer.text)
    assert (result["status"], "revision" in result) == (status, False)
    assert gateway.get(f"/settings/{id}").json()["data"]["setting_value"] == 1


def test_lists_counts_and_exports_are_of_theirs_alone(
    gateway: httpx2.Client, bound: httpx2.Client, sample: Sample, id: str
) -> None:
    for service in ("ours", "also", "theirs"):
        body = {**sample.full(f"{id}/{service}"), "service": service}
        assert gateway.post(f"/{sample.collection}", json=body).status_code == 201
    listed = bound.get(f"/{sample.collection}?limit=1000&include_total=true")
    found = items_of(listed)
    assert {item["service"] for item in found} <= {"ours", "also"}
    assert {f"{id}/ours", f"{id}/also"} <= {item[sample.id_field] for item in found}
    assert listed.json()["metadata"]["total"] == len(found)
    lines = [json.loads(line) for line in bound.get(f"/{sample.collection}", headers=LINES).text.splitlines()]
    assert lines == found or sorted(map(str, lines)) == sorted(map(str, found))
    assert items_of(bound.get(f"/{sample.collection}?service=theirs")) == []
    assert items_of(bound.get(f"/{sample.collection}?service__in=theirs,default")) == []
    walked, cursor = 0, ""
    while cursor is not None:
        page = bound.get(f"/{sample.collection}", params={"limit": 1, "cursor": cursor} if cursor else {"limit": 1})
        walked, cursor = walked + len(items_of(page)), page.json()["metadata"]["next_cursor"]
    assert walked == len(found)


def test_the_log_is_as_their_services_see_it(gateway: httpx2.Client, bound: httpx2.Client, id: str) -> None:
    def put(service: str, value: int) -> int:
        body = {"setting_value": value, "service": service}
        headers = {} if gateway.get(f"/settings/{id}").is_success else {"if-none-match": "*"}
        return int(gateway.put(f"/settings/{id}", json=body, headers=headers).headers["sarvanom-revision"])

    first = put("theirs", 1)
    arrives, moves, leaves, back = put("ours", 2), put("also", 3), put("theirs", 4), put("ours", 5)
    query: dict[str, str | int] = {"since": first - 1, "resource": "settings", "id": id}
    seen = [
        (one["revision"], one["operation"], one["service"], one["previous_revision"], one["after"] is not None)
        for one in items_of(bound.get("/changes", params=query))
    ]
    assert seen == [
        (arrives, "create", "ours", None, True),
        (moves, "update", "also", arrives, True),
        (leaves, "delete", "also", moves, False),
        (back, "create", "ours", None, True),
    ]
    narrowed = items_of(bound.get("/changes", params={**query, "service": "also"}))
    assert [(one["revision"], one["operation"]) for one in narrowed] == [(moves, "create"), (leaves, "delete")]
    assert items_of(bound.get("/changes", params={**query, "service": "theirs"})) == []
    path = f"/settings/{id}"
    assert bound.get(path, params={"at_revision": moves}).json()["data"]["setting_value"] == 3
    for revision in (first, leaves):
        problem_of(bound.get(path, params={"at_revision": revision}), 404, "not_found")


def test_undoing_is_for_what_is_theirs(gateway: httpx2.Client, bound: httpx2.Client, id: str) -> None:
    def write(method: str, **fields: object) -> str:
        body = {"setting_value": 1, **fields}
        headers = {"if-none-match": "*"} if method == "PUT" else {}
        return gateway.request(method, f"/settings/{id}", json=body, headers=headers).headers["sarvanom-revision"]

    foreign = write("PUT", service="theirs")
    problem_of(bound.post(f"/revisions/{foreign}/revert"), 404, "not_found")
    arrived = write("PATCH", service="ours")
    problem_of(bound.post(f"/revisions/{arrived}/revert"), 403, "forbidden")  # it would go back to others
    changed = write("PATCH", setting_value=2)
    assert data_of(bound.post(f"/revisions/{changed}/revert"), 200)["after"]["setting_value"] == 1
    left = write("PATCH", service="theirs")
    later = write("PATCH", setting_value=3)
    for revision in (changed, left):
        problem = problem_of(
            bound.post(f"/revisions/{revision}/revert"), 403, "forbidden"
        )  # it would be taken from others
        assert later not in problem["detail"]
    assert gateway.get(f"/settings/{id}").json()["data"]["service"] == "theirs"


def test_invalidation_removes_theirs_alone(gateway: httpx2.Client, bound: httpx2.Client, id: str) -> None:
    tag = tag_of(id)
    for service in ("ours", "also", "theirs"):
        gateway.post("/cache", json={"key": f"{id}/{service}", "value": 1, "tags": [tag], "service": service})
    assert data_of(bound.delete("/cache", params={"service": "theirs", "tag": tag}), 200) == {"deleted": 0}
    assert data_of(bound.delete("/cache", params={"tag": tag}), 200) == {"deleted": 2}
    assert gateway.get(f"/cache/{id}/theirs").status_code == 200


def test_what_is_about_all_services_is_for_those_who_are_bound_to_none(
    gateway: httpx2.Client, system: RunningProcess
) -> None:
    key = make_key(gateway, roles=["admin"], services=["ours"])
    with using(system.gateway_url, key["key"]) as client:
        for answer in (
            client.get("/cache-stats"),
            client.get("/export"),
            client.post("/import", content=b"{}", headers=NDJSON),
        ):
            problem_of(answer, 403, "forbidden")
        assert client.get("/health/detailed").status_code == 200


def test_the_log_holds_only_collections_that_can_be_read(
    gateway: httpx2.Client, system: RunningProcess, id: str
) -> None:
    revision = int(gateway.post("/settings", json={"setting_key": id, "setting_value": 1}).headers["sarvanom-revision"])
    user = {"user_id": id, "username": id, "email": f"{tag_of(id)}@example.org"}
    assert gateway.post("/users", json=user).status_code == 201
    with using(system.gateway_url, make_key(gateway, scopes=["users:read"])["key"]) as reader:
        page = reader.get("/changes", params={"since": revision - 1, "limit": 1000})
        assert {one["resource"] for one in items_of(page)} == {"users"}
        assert items_of(reader.get("/changes", params={"resource": "settings", "since": revision - 1})) == []
        problem_of(reader.post(f"/revisions/{revision}/revert"), 403, "forbidden")
    with using(system.gateway_url, make_key(gateway, scopes=["users:write"])["key"]) as writer:
        problem_of(writer.get("/changes"), 403, "forbidden")
        problem_of(writer.post(f"/revisions/{revision}/revert"), 403, "forbidden")
