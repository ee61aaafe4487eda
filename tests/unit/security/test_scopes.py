"""Scopes and roles, and who has them."""

from typing import get_args

import pytest

from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.security.scopes import ROLES, SCOPES, Role, read_scope, scopes_of, write_scope
from sarvanom.shared.models.key_models import ScopeName
from sarvanom.shared.resources import KEYS, RESOURCES


def test_every_collection_has_a_scope_to_read_and_one_to_write() -> None:
    bundled = [resource for resource in RESOURCES if resource.admin_scope is None]
    assert {f"{resource.collection}:{verb}" for resource in bundled for verb in ("read", "write")} < SCOPES
    assert [read_scope(resource) for resource in bundled] == [f"{resource.collection}:read" for resource in bundled]
    for resource in RESOURCES:
        assert {read_scope(resource), write_scope(resource)} < SCOPES
    assert read_scope(KEYS) == write_scope(KEYS) == "keys:admin"


def test_what_can_be_granted_is_what_there_is() -> None:
    assert set(get_args(ScopeName.__value__)) == SCOPES


def test_every_role_allows_something_and_only_the_administrator_everything() -> None:
    assert set(ROLES) == set(Role)
    assert [role for role, scopes in ROLES.items() if scopes == SCOPES] == [Role.ADMIN]
    assert all(scopes and scopes <= SCOPES for scopes in ROLES.values())


@pytest.mark.parametrize("role", [Role.EDITOR, Role.SERVICE, Role.VIEWER])
def test_only_the_administrator_sees_secrets_and_takes_everything_away(role: Role) -> None:
    assert ROLES[role].isdisjoint({"secrets:read", "store:admin", "keys:admin"})


def test_a_viewer_changes_nothing() -> None:
    assert not [scope for scope in ROLES[Role.VIEWER] if not scope.endswith(":read")]


def test_roles_and_scopes_add_up_and_unknown_ones_allow_nothing() -> None:
    assert scopes_of([], ["users:read", "moon:write"]) == {"users:read"}
    assert scopes_of([Role.VIEWER], ["users:write"]) == ROLES[Role.VIEWER] | {"users:write"}
    assert scopes_of([]) == frozenset()


def test_a_principal_sees_the_services_it_is_bound_to() -> None:
    bound = Principal("key:a", frozenset({"users:read"}), frozenset({"chat"}))
    assert (bound.sees("chat"), bound.sees("default")) == (True, False)
    assert (bound.may("users:read"), bound.may("users:write")) == (True, False)
    assert Principal("key:b").sees("default")


def test_nobody_may_do_nothing() -> None:
    assert not [scope for scope in SCOPES if ANONYMOUS.may(scope)]
