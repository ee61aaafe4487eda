"""Who asks, once that has been proven."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose identity was proven, what it may do, and for which services.

    `subject` is unique among all kinds of principals and fit for logs: `key:…`, `user:…`. A principal that is bound to
    `services` sees and changes only what they own; None is bound to none.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    services: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Tell whether the principal has a scope."""
        return scope in self.scopes

    def sees(self, service: str) -> bool:
        """Tell whether what a service owns is there for the principal."""
        return self.services is None or service in self.services


AUTHENTICATE: Final = "gateway:authenticate"
"""To ask whose key has a digest; nobody can be granted it."""

GATEWAY: Final = Principal("gateway", frozenset({AUTHENTICATE}))
"""A gateway that asks of its own accord."""

ANONYMOUS: Final = Principal("")
"""Who has not said who it is; it may do nothing."""
