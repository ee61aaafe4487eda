"""What a caller that is bound to services sees and changes: theirs, and of the rest not even that it is there."""

from dataclasses import replace
from typing import Any, Final

from sarvanom.backends.storage.contract import Document
from sarvanom.backends.storage.log import Change
from sarvanom.security.principals import Principal
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import Forbidden
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.queries import Condition, ListQuery, Operator
from sarvanom.shared.resources import Resource


class Tenancy:
    """What one set of services, None for all, lets its bearer see and change."""

    __slots__ = ("_services",)

    def __init__(self, services: frozenset[str] | None = None) -> None:
        self._services = services

    def visible(self, document: Document | None) -> Document | None:
        """Return a document if it can be seen, else None, as if there were none."""
        if document is None or self._services is None or document.service in self._services:
            return document
        return None

    def owned[M: ResourceModel](self, item: M) -> M:
        """Return a new item with the service that owns it: the only one of its maker, if none was named.

        Raises:
            Forbidden: another service would own it.
        """
        if self._services is None:
            return item
        if len(self._services) == 1 and "service" not in item.model_fields_set:
            return item.model_copy(update={"service": next(iter(self._services))})
        self.check(item)
        return item

    def check(self, item: ResourceModel) -> None:
        """Refuse to write what another service would own; raises `Forbidden`."""
        if self._services is not None and item.service not in self._services:
            why = "" if "service" in item.model_fields_set else ", as none was named"
            raise Forbidden(
                f"The service that owns this would be {item.service!r}{why}; the caller is bound to "
                f"{', '.join(sorted(self._services))}"
            )

    def check_place(self, current: Document | None) -> None:
        """Refuse to replace what cannot be seen, saying nothing of it; raises `Forbidden`."""
        if self.visible(current) is not current:
            raise Forbidden("The caller may not write under this id")

    def conditions(self, resource: Resource[Any]) -> tuple[Condition, ...]:
        """Return the conditions that whatever can be seen fulfils."""
        if self._services is None:
            return ()
        column = resource.column("service")
        assert column is not None  # noqa: S101 (every resource has it)
        return (Condition(column, Operator.ONE_OF, sorted(self._services)),)

    def narrow(self, resource: Resource[Any], query: ListQuery) -> ListQuery:
        """Return the list of what of another one can be seen."""
        if self._services is None:
            return query
        return replace(query, conditions=(*query.conditions, *self.conditions(resource)))

    def narrow_changes(self, query: ChangeQuery) -> ChangeQuery:
        """Return the changes of other ones that can be seen."""
        if self._services is None:
            return query
        services = self._services if query.services is None else self._services & query.services
        return replace(query, services=services)

    def sees_change(self, change: Change) -> bool:
        """Tell whether anything of a change can be seen."""
        return self._services is None or not self._services.isdisjoint((change.service, change.left_service))


UNBOUND: Final = Tenancy()
"""All that there is."""


def tenancy_of(principal: Principal) -> Tenancy:
    """Return what a principal sees and changes, its scopes aside."""
    return UNBOUND if principal.services is None else Tenancy(principal.services)
