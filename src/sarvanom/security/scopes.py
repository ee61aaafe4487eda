"""Scopes: what may be done, named as OAuth 2.0 names it (RFC 6749, section 3.3); and the roles that bundle them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from sarvanom.shared.resources import RESOURCES, Resource

SECRETS_READ: Final = "secrets:read"
"""To see sealed values in plain."""
STORE_ADMIN: Final = "store:admin"
"""To export and to restore everything at once."""


class Role(StrEnum):
    """A bundle of scopes, for those who would rather not choose each."""

    ADMIN = "admin"
    EDITOR = "editor"
    SERVICE = "service"
    VIEWER = "viewer"


def read_scope(resource: Resource[Any]) -> str:
    """Return the scope that reading the collection, its history included, takes."""
    return f"{resource.collection}:read"


def write_scope(resource: Resource[Any]) -> str:
    """Return the scope that changing the collection takes."""
    return f"{resource.collection}:write"


_READING: Final = frozenset(map(read_scope, RESOURCES))
_WRITING: Final = frozenset(map(write_scope, RESOURCES))

SCOPES: Final = _READING | _WRITING | {SECRETS_READ, STORE_ADMIN}
"""Every scope that there is."""

ROLES: Final[Mapping[Role, frozenset[str]]] = {
    Role.ADMIN: SCOPES,
    Role.EDITOR: _READING | _WRITING,
    Role.SERVICE: _READING | {"cache:write", "users:write"},
    Role.VIEWER: _READING,
}


def scopes_of(roles: Iterable[Role], scopes: Iterable[str] = ()) -> frozenset[str]:
    """Return everything that these roles and scopes allow together; what is no scope allows nothing."""
    return frozenset().union(scopes, *(ROLES[role] for role in roles)) & SCOPES
