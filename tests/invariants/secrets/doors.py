"""Every door by which a secret can come in, each tried with secrets of its own; every answer is kept to be searched."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from httpx2 import Client, Response

from tests.invariants.secrets.needles import Planted

MASK: Final = "********"
LINES: Final = {"content-type": "application/x-ndjson"}


@dataclass
class Doors:
    """Writes through one service; `models` and `settings` say what should be kept in the end."""

    client: Client
    planted: Planted
    era: str
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)

    def open_all(self, times: int) -> None:
        """Write through every door, so many times."""
        for number in range(times):
            id = f"{self.era}-{number}"
            self._create(id)
            self._replace(id)
            self._patch(id)
            self._undo(id)
            self._be_refused(id)
            self._repeat(id)
        self._send_lines(times)

    def _create(self, id: str) -> None:
        parameters = self._parameters()
        self._send("POST", "/models", 201, {"model_name": f"{id}/created", "provider": "p", "parameters": parameters})
        self.models[f"{id}/created"] = parameters
        value = {"of": [self.planted.secret()]}
        self._send("PUT", f"/settings/{id}/put", 201, self._setting(value), {"if-none-match": "*"})
        self.settings[f"{id}/put"] = value

    def _replace(self, id: str) -> None:
        self._create_setting(f"{id}/replaced", self.planted.secret())
        self._create_setting(f"{id}/replaced", self.planted.secret(), method="PUT")
        read = self._send("GET", f"/models/{id}/created", 200).json()["data"]
        self._send("PUT", f"/models/{id}/created", 200, {**read, "priority": 7})

    def _patch(self, id: str) -> None:
        secret = self.planted.secret()
        changes = {"parameters": {"api_key": secret, "nested": {"token": MASK}, "temperature": 0.5}}
        self._send("PATCH", f"/models/{id}/created", 200, changes)
        self.models[f"{id}/created"] |= {"api_key": secret, "temperature": 0.5}
        self._create_setting(f"{id}/patched", {"a": self.planted.secret(), "b": 1})
        secret = self.planted.secret()
        self._send("PATCH", f"/settings/{id}/patched", 200, {"setting_value": {"c": secret}})
        self.settings[f"{id}/patched"]["c"] = secret

    def _undo(self, id: str) -> None:
        before = json.loads(json.dumps(self.models[f"{id}/created"]))
        changed = self._send(
            "PATCH", f"/models/{id}/created", 200, {"parameters": {"password": self.planted.secret(), "api_key": None}}
        )
        revision = changed.headers["sarvanom-revision"]
        self._send("POST", f"/revisions/{revision}/revert", 200)
        self.models[f"{id}/created"] = before
        self._send("GET", f"/models/{id}/created?at_revision={revision}", 200)

    def _be_refused(self, id: str) -> None:
        """Send secrets with what is wrong beside them, or in them."""
        secret = self.planted.secret
        body = {"model_name": f"{id}/created", "provider": "p", "parameters": {"api_key": secret()}}
        self._send("POST", "/models", 409, body)
        self._send("PUT", f"/models/{id}/created", 412, body, {"if-match": '"1"'})
        self._send("PUT", f"/models/{id}/none", 422, body)
        self._send("PATCH", f"/models/{id}/none", 404, {"parameters": {"api_key": secret()}})
        for wrong in (
            {"priority": secret()},
            {"parameters": secret()},
            {"parameters": {"api_key": MASK, "password": secret()}, "model_name": f"{id}/masked"},
            {"parameters": {"api_key": {"$sealed": secret()}}},
            {"enabled": {"token": secret()}},
        ):
            self._send("POST", "/models", 422, {**body, **wrong})
        self._send("PATCH", f"/settings/{id}/put", 422, {"encrypted": False, "setting_value": {"x": secret()}})
        self._send("PATCH", f"/settings/{id}/put", 422, {"encrypted": secret()})
        malformed = f'{{"model_name": "m", "parameters": {{"api_key": "{secret()}"}}'.encode()
        self._send("POST", "/models", 400, malformed)
        self._send("GET", f"/models/{id}/created?reveal=true", 403)

    def _repeat(self, id: str) -> None:
        parameters = self._parameters()
        body = {"model_name": f"{id}/keyed", "provider": "p", "parameters": parameters}
        key = {"idempotency-key": f"create-{id}"}
        first = self._send("POST", "/models", 201, body, key)
        again = self._send("POST", "/models", 201, body, key)
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
        self.models[f"{id}/keyed"] = parameters
        changes = {"parameters": {"api_key": self.planted.secret()}}
        key = {"idempotency-key": f"patch-{id}"}
        first = self._send("PATCH", f"/models/{id}/keyed", 200, changes, key)
        again = self._send("PATCH", f"/models/{id}/keyed", 200, changes, key)
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
        self._send("PATCH", f"/models/{id}/keyed", 422, {"parameters": {"api_key": self.planted.secret()}}, key)
        self.models[f"{id}/keyed"] |= changes["parameters"]

    def _send_lines(self, count: int) -> None:
        """Send many at once: new ones, ones that are refused, and ones that replace what a read gave."""
        lines: list[dict[str, Any]] = []
        for number in range(count):
            id = f"{self.era}-line/{number}"
            self.models[id] = self._parameters()
            lines.append({"model_name": id, "provider": "p", "parameters": self.models[id]})
            lines.append({"model_name": id, "provider": 1, "parameters": {"api_key": self.planted.secret()}})
            lines.append({"model_name": f"{id}/masked", "provider": "p", "parameters": {"api_key": MASK}})
        body = b"\n".join(json.dumps(line).encode() for line in lines)
        for _ in range(2):
            answer = self._send("POST", "/models", 200, body, {**LINES, "idempotency-key": f"lines-{self.era}"})
            results = [json.loads(line)["status"] for line in answer.content.splitlines()]
            assert results == [201, 422, 422] * count
        exported = self._send("GET", "/models", 200, headers={"accept": LINES["content-type"]}).content
        answer = self._send("POST", "/models?on_conflict=replace", 200, exported, LINES)
        assert {json.loads(line)["outcome"] for line in answer.content.splitlines()} == {"replaced"}

    def _create_setting(self, id: str, value: Any, method: str = "POST") -> None:
        body = {**self._setting(value), "setting_key": id}
        if method == "POST":
            self._send("POST", "/settings", 201, body)
        else:
            self._send("PUT", f"/settings/{id}", 200, body)
        self.settings[id] = value

    def _parameters(self) -> dict[str, Any]:
        secret = self.planted.secret
        return {
            "api_key": secret(),
            "temperature": 0.1,
            "nested": {"Client-Secret": secret(), "token": {"any": [secret()]}},
            "list": [{"host": "h", "x-api-key": secret()}],
        }

    def _setting(self, value: Any) -> dict[str, Any]:
        return {"setting_value": value, "encrypted": True}

    def _send(
        self, method: str, path: str, status: int, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})}
        answer = self.client.request(method, path, content=content, headers=given)
        assert answer.status_code == status, (method, path, answer.text)
        self.answers.append(repr(sorted(answer.headers.items())).encode() + answer.content)
        return answer
