"""Accounts, and tokens that are traded for passwords, keys and refresh tokens, as a client would."""

import itertools
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from tests.harness.identity import ADMIN_HEADERS
from tests.harness.system import RunningProcess
from tests.services.answers import data_of

PASSWORD = "Zwölf Boxkämpfer jagen Viktor"
INVALID_GRANT = {
    "error": "invalid_grant",
    "error_description": "What was given for the token is not valid, or no longer",
}
_addresses = itertools.count(1)


def new_address() -> str:
    """Return an address that nobody has called from, for a gateway that believes its proxy."""
    number = next(_addresses)
    return f"198.18.{number // 256}.{number % 256}"


@dataclass
class Realm:
    """Gateways in front of one crud."""

    crud: RunningProcess
    gateways: list[RunningProcess]
    administrator: httpx2.Client

    @property
    def url(self) -> str:
        return self.gateways[0].gateway_url

    def account(self, **fields: Any) -> str:
        """Have an account made and return its name."""
        name = f"user-{uuid4().hex}"
        given = {"account_id": name, "password": PASSWORD, "roles": ["editor"], **fields}
        assert data_of(self.administrator.post("/accounts", json=given), 201)["password"] == "********"
        return name

    def post(
        self, path: str, gateway: int = 0, basic: tuple[str, str] | None = None, address: str | None = None, **form: str
    ) -> httpx2.Response:
        """Send a form from an address of its own."""
        headers = {"X-Forwarded-For": address or new_address()}
        if basic is not None:
            headers["Authorization"] = "Basic " + b64encode(":".join(basic).encode()).decode()
        return httpx2.post(f"{self.gateways[gateway].gateway_url}{path}", data=form, headers=headers, timeout=20)

    def token(self, gateway: int = 0, **form: Any) -> httpx2.Response:
        return self.post("/auth/token", gateway, **form)

    def log_in(self, name: str, password: str = PASSWORD, gateway: int = 0, **form: Any) -> dict[str, Any]:
        """Trade a name and a password for tokens."""
        answer = self.token(gateway, grant_type="password", username=name, password=password, **form)
        return granted(answer)

    def refresh(self, token: str, gateway: int = 0, **form: Any) -> httpx2.Response:
        return self.token(gateway, grant_type="refresh_token", refresh_token=token, **form)

    def status(self, access_token: str, gateway: int = 0, target: str = "/users?limit=1") -> int:
        """Return what a bearer of the token is answered."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return httpx2.get(f"{self.gateways[gateway].gateway_url}{target}", headers=headers, timeout=20).status_code


def granted(answer: httpx2.Response) -> dict[str, Any]:
    """Return what a token endpoint gave, which is never stored by anybody on the way."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["access_token"].count(".") == 2
    return body


def refused(answer: httpx2.Response, status: int, error: str) -> None:
    """Check that the token endpoint has refused, as OAuth says it."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) is (status == 401)


@contextmanager
def administering(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, headers=ADMIN_HEADERS, timeout=20) as client:
        yield client
