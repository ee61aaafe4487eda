"""Tokens of an outside issuer that really listens: whom a running gateway believes, and what their claims mean."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.harness.system import RunningProcess, running_crud
from tests.services.answers import problem_of
from tests.services.commands import refusal
from tests.services.edge_gateways import running_gateway
from tests.unit.security.played_issuer import (
    DISCOVERY,
    JWKS,
    KeyPair,
    PlayedIssuer,
    make_ec,
    make_ed25519,
    make_rsa,
    play_issuer,
)
from tests.unit.security.tokens import unsigned

RSA, EC, ED = make_rsa("rsa-1"), make_ec("ec-1"), make_ed25519("ed-1")
UNKNOWN = make_rsa("rsa-2")


@dataclass
class Trusting:
    """A gateway that trusts an issuer."""

    issuer: PlayedIssuer
    gateway: RunningProcess

    def token(self, key: KeyPair = RSA, **claims: Any) -> str:
        now = int(time.time())
        return self.issuer.token(key, **{"iat": now - 10, "exp": now + 290, **claims})

    async def ask(
        self, token: str, method: str = "GET", target: str = "/users?limit=1", **given: Any
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=self.gateway.gateway_url, headers=headers, timeout=20) as client:
            return await client.request(method, target, **given)


def trusted(issuer: PlayedIssuer, **fields: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "issuer": issuer.url,
        "audience": "sarvanom",
        "roles_claim": "realm_access.roles",
        "roles": {"sarvanom-editor": "editor", "sarvanom-viewer": "viewer"},
        **fields,
    }


@pytest_asyncio.fixture
async def trusting(tmp_path: Path) -> AsyncIterator[Trusting]:
    async with play_issuer() as issuer:
        issuer.publish(RSA, EC, ED)
        issuers = json.dumps([trusted(issuer)])
        with ExitStack() as stack:
            crud = await asyncio.to_thread(stack.enter_context, running_crud(tmp_path))
            (tmp_path / "gateway").mkdir()
            started = running_gateway(tmp_path / "gateway", crud.crud_port, SARVANOM_OIDC_ISSUERS=issuers)
            yield Trusting(issuer, await asyncio.to_thread(stack.enter_context, started))
            await asyncio.to_thread(stack.close)


async def test_token_is_believed_and_its_roles_are_those_of_the_setting(trusting: Trusting) -> None:
    for key in (RSA, EC, ED):
        assert (await trusting.ask(trusting.token(key))).status_code == 200
    assert trusting.issuer.asked == [DISCOVERY, JWKS]
    item = {"setting_key": "from/outside", "setting_value": 1}
    made = await trusting.ask(trusting.token(), "POST", "/settings", json=item)
    assert made.status_code == 201
    changes = await trusting.ask(trusting.token(), target="/changes?resource=settings&id=from/outside")
    assert changes.json()["data"]["items"][0]["actor"] == "oidc:main:8f2c"
    viewer = trusting.token(realm_access={"roles": ["sarvanom-viewer", "admin"]})
    assert (await trusting.ask(viewer)).status_code == 200
    problem_of(await trusting.ask(viewer, "DELETE", "/settings/from/outside"), 403, "forbidden")
    worthless: list[dict[str, list[str]]] = [{"roles": ["admin", "editor"]}, {}, {"roles": []}]
    for roles in worthless:
        problem_of(await trusting.ask(trusting.token(realm_access=roles)), 403, "forbidden")


async def test_token_that_is_not_right_is_refused(trusting: Trusting) -> None:
    now = int(time.time())
    assert (await trusting.ask(trusting.token())).status_code == 200
    wrong: list[dict[str, Any]] = [
        {"aud": "another"},
        {"aud": ...},
        {"iss": trusting.issuer.url + "/"},
        {"iss": "https://evil.example"},
        {"exp": now - 60},
        {"exp": ...},
        {"nbf": now + 600},
        {"iat": now + 600},
        {"sub": ...},
        {"cnf": {"jkt": "x"}},
        {"events": {}},
    ]
    for claims in wrong:
        answer = await trusting.ask(trusting.token(**claims))
        problem_of(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"}, {"alg": "PS256"}, {"typ": "logout+jwt"}):
        problem_of(
            await trusting.ask(trusting.issuer.token(RSA, header=header, iat=now, exp=now + 60)), 401, "unauthorized"
        )
    forged = KeyPair("RS256", unsigned, RSA.jwk)
    problem_of(await trusting.ask(trusting.token(forged)), 401, "unauthorized")
    stranger = KeyPair("RS256", UNKNOWN.sign, RSA.jwk)
    problem_of(await trusting.ask(trusting.token(stranger)), 401, "unauthorized")


async def test_unknown_keys_are_asked_for_no_more_often_than_the_floor_allows(trusting: Trusting) -> None:
    assert (await trusting.ask(trusting.token())).status_code == 200
    for number in range(20):
        key = KeyPair("RS256", UNKNOWN.sign, {**UNKNOWN.jwk, "kid": f"made-up-{number}"})
        problem_of(await trusting.ask(trusting.token(key)), 401, "unauthorized")
    assert trusting.issuer.asked == [DISCOVERY, JWKS]
    assert (await trusting.ask(trusting.token(jti="another"))).status_code == 200


async def test_issuer_that_is_away_makes_nobody_wrong(trusting: Trusting) -> None:
    trusting.issuer.is_down = True
    problem_of(await trusting.ask(trusting.token()), 503, "service_unavailable")
    assert httpx2.get(f"{trusting.gateway.gateway_url}/ready").status_code == 200


async def test_revocation_of_our_own_tokens_takes_none_of_theirs(trusting: Trusting) -> None:
    token = trusting.token()
    async with httpx2.AsyncClient(base_url=trusting.gateway.gateway_url) as client:
        assert (await client.post("/auth/revoke", data={"token": token})).status_code == 200
    assert (await trusting.ask(token)).status_code == 200


@pytest.mark.parametrize(
    ("issuers", "said"),
    [
        ("nonsense", "invalid JSON"),
        ("{}", "array"),
        ('[{"name":"a"}]', "0.issuer"),
        ('[{"name":"a","issuer":"http://example.org","audience":"x"}]', "is no issuer"),
        ('[{"name":"A b","issuer":"https://example.org","audience":"x"}]', "is no name"),
        ('[{"name":"a","issuer":"https://example.org","audience":"x","roles":{"r":"root"}}]', "0.roles.r"),
        ('[{"name":"a","issuer":"https://example.org","audience":"x","role":{}}]', "0.role"),
        ('[{"name":"a","issuer":"https://example.org","audience":"x","algorithms":["HS256"]}]', "algorithms"),
        (
            '[{"name":"a","issuer":"https://a.example","audience":"x"},{"name":"a","issuer":"https://b.example","audience":"x"}]',
            "named twice",
        ),
    ],
)
def test_setting_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, issuers: str, said: str) -> None:
    line = refusal(["gateway"], tmp_path, {"SARVANOM_OIDC_ISSUERS": issuers})
    assert "SARVANOM_OIDC_ISSUERS" in line
    assert said in line
