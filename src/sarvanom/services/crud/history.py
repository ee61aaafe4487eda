"""What the log gives beyond the present: past states, and undoing."""

from typing import Any

from pydantic_core import from_json

from sarvanom.backends.storage.contract import NOBODY, Document, Origin, Revert, Write
from sarvanom.backends.storage.log import Change
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import write_scope
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.tenancy import UNBOUND, Tenancy, tenancy_of
from sarvanom.shared.errors import (
    FieldError,
    Forbidden,
    ResourceNotFound,
    RevertConflict,
    RevisionCompacted,
    SarvanOMError,
    UpstreamFailed,
    ValidationFailed,
)
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import RESOURCES, Resource
from sarvanom.shared.validation import parse_model

_BY_COLLECTION = {resource.collection: resource for resource in RESOURCES}


class History:
    """Past states of a store's logged resources."""

    def __init__(self, store: SealedStore) -> None:
        self._store = store

    async def knows(self, resource: Resource[Any], id: str) -> bool:
        """Tell whether anything is or was stored under the id, as far as the log goes back."""
        return await self._store.log.state(resource, id, (await self._store.log.bounds()).head) is not None

    async def read_at(
        self, resource: Resource[Any], id: str, revision: int, tenancy: Tenancy = UNBOUND, *, reveal: bool = False
    ) -> Document:
        """Return what was stored under the id when the store was at a revision, with `reveal` its secrets in plain.

        Raises:
            ResourceNotFound: there was nothing.
            RevisionCompacted: that state is no longer held.
            ValidationFailed: the revision is still to come, or the resource is not logged.
        """
        if not resource.is_logged:
            message = f"{resource.one.capitalize()} has no history"
            raise ValidationFailed("The query parameters are not valid", errors=[FieldError("at_revision", message)])
        change = await (self._store.inner if reveal else self._store).log.state(resource, id, revision)
        document = None
        if change is not None and change.body is not None:
            document = tenancy.visible(Document(id, change.revision, "", change.body, change.service))
        if document is None:
            raise ResourceNotFound(f"There was no {resource.name} with {resource.id_field} {id!r} at that revision")
        return self._store.open(resource, document) if reveal else document

    async def revert(
        self, revision: int, origin: Origin = NOBODY, principal: Principal | None = None
    ) -> tuple[Change, bool]:
        """Undo a revision; return the change that did it, and whether it had been made before under the same key.

        What was sealed comes back as it was kept.

        Raises:
            ResourceNotFound, RevisionCompacted, RevertConflict, ResourceConflict: as `RevisionLogContract.revert` says.
            Forbidden: the principal may not write to the collection, or for the service.
        """
        change = await self._change(revision)
        tenancy = UNBOUND if principal is None else tenancy_of(principal)
        if not tenancy.sees_change(change):
            raise ResourceNotFound(f"There is no revision {revision}")
        resource = _BY_COLLECTION[change.collection]
        if principal is not None and not principal.may(write_scope(resource)):
            raise Forbidden(f"This takes the scope {write_scope(resource)}")
        if resource.grants:
            reason = f"{resource.one} never comes back, nor does what it was; change or delete it instead"
            raise RevertConflict(f"Revision {revision} cannot be undone: {reason}")
        before = await self._state_before(resource, change)
        item: ResourceModel | None = None
        created_at = None
        if before is not None and before.body is not None:
            item = self._store.seal(resource, parse_model(resource.write_model, before.body))
            created_at = _created_at(before.body)
            tenancy.check(item)

        def decide(current: Document | None) -> ResourceModel | None:
            tenancy.check_place(current)
            return item

        write = Write(resource, change.id, decide, origin=origin, revert=Revert(revision, created_at))
        written = await self._store.inner.write(write)
        try:
            return await self._change(written.revision), written.is_replay
        except SarvanOMError as error:
            raise UpstreamFailed(f"Revision {written.revision} undid it, and then: {error.detail}") from None

    async def _change(self, revision: int) -> Change:
        change = await self._store.log.change(revision)
        if change is not None:
            return change
        bounds = await self._store.log.bounds()
        if 0 < revision <= bounds.floor:
            raise RevisionCompacted(
                f"Revision {revision} is no longer held; the oldest that can be undone is {bounds.floor + 1}",
                headers={"SarvanOM-Oldest-Revision": str(bounds.floor)},
            )
        raise ResourceNotFound(f"There is no revision {revision}; the newest is {bounds.head}")

    async def _state_before(self, resource: Resource[Any], change: Change) -> Change | None:
        if change.previous is None:
            return None
        before = await self._store.inner.log.state(resource, change.id, change.revision - 1)
        assert before is not None  # noqa: S101 (compaction keeps the state before every change that is held)
        return before


def _created_at(body: bytes) -> str:
    """Return the creation time that a stored body holds, as it stands there."""
    return str(from_json(body)["created_at"])
