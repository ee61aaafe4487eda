"""Outside issuers as an operator writes them down."""

import json
from typing import Any

import pytest

from sarvanom.security.oidc import OutsideIssuer
from sarvanom.security.scopes import Role
from sarvanom.security.trusted_issuers import parse_issuers

LEAST: dict[str, Any] = {"name": "main", "issuer": "https://sso.example.org/realms/main", "audience": "sarvanom"}


def test_what_is_left_out_is_as_it_is_elsewhere() -> None:
    assert parse_issuers(json.dumps([LEAST])) == [OutsideIssuer(**LEAST)]
    assert parse_issuers("[]") == []


def test_everything_can_be_said() -> None:
    said: dict[str, Any] = {
        **LEAST,
        "roles": {"sarvanom-admin": "admin"},
        "roles_claim": "realm_access.roles",
        "services": ["a", "b"],
        "clients": ["console"],
        "algorithms": ["PS256"],
        "leeway": 0,
    }
    [issuer] = parse_issuers(json.dumps([said]))
    assert issuer.roles == {"sarvanom-admin": Role.ADMIN}
    assert (issuer.services, issuer.clients) == (frozenset({"a", "b"}), frozenset({"console"}))
    assert (issuer.algorithms, issuer.leeway, issuer.roles_claim) == (frozenset({"PS256"}), 0, "realm_access.roles")


@pytest.mark.parametrize(
    "changed", [{"leeway": -1}, {"services": ["a"], "services_claim": "b"}, {"audience": ""}, {"x": 1}]
)
def test_what_is_wrong_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_issuers(json.dumps([{**LEAST, **changed}]))


@pytest.mark.parametrize("second", [{"name": "other"}, {"issuer": "https://other.example.org"}])
def test_nobody_is_named_twice(second: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_issuers(json.dumps([LEAST, {**LEAST, **second}]))
