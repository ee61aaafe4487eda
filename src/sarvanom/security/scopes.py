"""Scopes: what may be done, named as OAuth 2.0 names it (RFC 6749, section 3.3); and the roles that bundle them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sarvanom.shared.models.key_models import Role
from sarvanom.shared.resources import RESOURCES, Resource

__all__ = [
    "METRICS_READ",
    "ROLES",
    "SCOPES",
    "SECRETS_READ",
    "STORE_ADMIN",
    "Role",
    "read_scope",
    "scopes_of",
    "write_scope",
]

SECRETS_READ: Final = "secrets:read"
"""To see sealed values in plain."""
METRICS_READ: Final = "metrics:read"
"""To read what is measured."""
STORE_ADMIN: Final = "store:admin"
"""To export and to restore everything at once."""


def read_scope(resource: Resource[Any]) -> str:
    """Return the scope that reading the collection, its history included, takes."""
    return resource.admin_scope or f"{resource.collection}:read"


def write_scope(resource: Resource[Any]) -> str:
    """Return the scope that changing the collection takes."""
    return resource.admin_scope or f"{resource.collection}:write"


_BUNDLED: Final = [resource for resource in RESOURCES if resource.admin_scope is None]
_READING: Final = frozenset(map(read_scope, _BUNDLED))
_WRITING: Final = frozenset(map(write_scope, _BUNDLED))
LOG_READING: Final = frozenset(read_scope(resource) for resource in RESOURCES if resource.is_logged)
"""Scopes of which any one lets its bearer read the log, as far as it goes."""
LOG_WRITING: Final = frozenset(write_scope(resource) for resource in RESOURCES if resource.is_logged)
"""Scopes of which any one lets its bearer undo a revision of its collection."""

SCOPES: Final = LOG_READING | LOG_WRITING | _READING | _WRITING | {METRICS_READ, SECRETS_READ, STORE_ADMIN}
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
