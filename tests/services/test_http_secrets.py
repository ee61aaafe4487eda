"""Secrets over HTTP: masks for everybody, in plain for who has the scope, and each such access is logged."""

import json
import time
from typing import Any

import httpx2
import pytest

from sarvanom.security.principals import Principal
from sarvanom.security.scopes import ROLES, Role
from sarvanom.shared.models.secret_fields import MASK
from tests.harness.identity import SignedRequests
from tests.harness.system import RunningProcess
from tests.services.answers import data_of, problem_of
from tests.services.keys import Key, make_key, using

SECRET = "sk-hush-7Qm2"
REVEALING = {"scopes": ["models:read", "settings:read", "secrets:read"]}


@pytest.fixture
def paths(gateway: httpx2.Client, id: str) -> dict[str, str]:
    """Paths of a model and a setting that hold the secret, each with the field that it stands in."""
    model = {"model_name": id, "provider": "p", "parameters": {"api_key": SECRET}, "service": "s"}
    setting = {"setting_key": id, "setting_value": {"api_key": SECRET}, "encrypted": True, "service": "s"}
    assert gateway.post("/models", json=model).status_code == 201
    assert gateway.post("/settings", json=setting).status_code == 201
    return {f"/models/{id}": "parameters", f"/settings/{id}": "setting_value"}


def revealed_lines(process: RunningProcess, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of the log that tell of secrets shown to this request; its own line comes after them."""
    deadline = time.monotonic() + 5
    while True:
        lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
        found = [line for line in lines if line.get("request_id") == request_id]
        if any(line["event"] == "request" for line in found) or time.monotonic() > deadline:
            return [line for line in found if line["event"] == "secrets revealed"]
        time.sleep(0.01)


@pytest.mark.parametrize("grant", [{"roles": ["admin"]}, REVEALING, REVEALING | {"services": ["s"]}], ids=str)
def test_who_has_the_scope_is_shown_secrets_and_the_log_tells_of_it(
    gateway: httpx2.Client, system: RunningProcess, paths: dict[str, str], grant: Key, id: str
) -> None:
    key = make_key(gateway, **grant)
    with using(system.gateway_url, key["key"]) as client:
        for number, (path, field) in enumerate(paths.items()):
            masked = data_of(client.get(path), 200)
            assert masked[field] in (MASK, {"api_key": MASK})
            for query in ("reveal=true", f"reveal=true&at_revision={masked['revision']}"):
                request_id = f"{id}-{number}-{len(query)}"
                answer = client.get(f"{path}?{query}", headers={"x-request-id": request_id})
                assert data_of(answer, 200) == {**masked, field: {"api_key": SECRET}}
                (line,) = revealed_lines(system, request_id)
                told = (line["to"], line["resource"], line["revision"])
                assert told == (f"key:{key['key_id']}", path, masked["revision"])
                assert SECRET not in json.dumps(line)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SERVICE, Role.EDITOR])
def test_no_other_role_is_shown_secrets(
    gateway: httpx2.Client, system: RunningProcess, paths: dict[str, str], role: Role
) -> None:
    principal = Principal("key:other", ROLES[role])
    crud = httpx2.Client(base_url=system.crud_url, auth=SignedRequests(principal))
    with using(system.gateway_url, make_key(gateway, roles=[role])["key"]) as client, crud:
        for path in paths:
            for http in (client, crud):
                problem_of(http.get(path, params={"reveal": "true"}), 403, "forbidden")
                assert SECRET not in http.get(path).text


@pytest.mark.parametrize(
    ("grant", "status"),
    [({"scopes": ["secrets:read"]}, 403), ({"roles": ["admin"], "services": ["elsewhere"]}, 404)],
    ids=["no reading", "another service"],
)
def test_who_may_not_read_an_item_is_not_shown_its_secrets(
    gateway: httpx2.Client, system: RunningProcess, paths: dict[str, str], grant: Key, status: int
) -> None:
    with using(system.gateway_url, make_key(gateway, **grant)["key"]) as client:
        for path in paths:
            answer = client.get(path, params={"reveal": "true"})
            assert answer.status_code == status
            assert SECRET not in answer.text
