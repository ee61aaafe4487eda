"""Whether who asks may: one decision, made in the gateway and again in crud."""

from collections.abc import Collection
from typing import Final

from starlette.types import Scope

from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.shared.errors import Forbidden

PRINCIPAL: Final = "sarvanom.principal"
"""Where the scope keeps the proven `Principal`; read it with `principal_of`."""


def principal_of(scope: Scope) -> Principal:
    """Return who asks, `ANONYMOUS` where nobody had to prove it."""
    principal: Principal = scope.get(PRINCIPAL, ANONYMOUS)
    return principal


def require(scope: Scope, needed: Collection[str], *, unbound: bool = False) -> Principal:
    """Return who asks, if it has one of the scopes that are needed, and is bound to no service where that matters.

    Raises:
        Forbidden: it may not.
    """
    principal = principal_of(scope)
    if principal.scopes.isdisjoint(needed):
        raise Forbidden(f"This takes the scope {' or '.join(sorted(needed))}")
    if unbound and principal.services is not None:
        raise Forbidden("This is about all services, and the caller is bound to some")
    return principal
