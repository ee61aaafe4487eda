"""What a collection should hold after some writes, kept in a dict: the model that the state machine compares with."""

from collections.abc import Iterable
from typing import Any

from sarvanom.shared.errors import (
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    ValidationFailed,
)
from tests.contracts.samples import Sample

type Item = dict[str, Any]
type Refusals = tuple[type[SarvanOMError], ...]


class Reference:
    """One collection as plain dicts by id; every method tells what to expect, `put` and `remove` let it happen."""

    def __init__(self, sample: Sample) -> None:
        self.resource = sample.resource
        self.items: dict[str, Item] = {}
        self.revisions: dict[str, int] = {}

    def taken(self, item: Item) -> set[str]:
        """Return the unique fields whose value another item has."""
        id = item[self.resource.id_field]
        others = [other for key, other in self.items.items() if key != id]
        return {
            name
            for name in self.resource.unique
            if item[name].casefold() in [other[name].casefold() for other in others]
        }

    def refusals_of_create(self, item: Item) -> Refusals:
        exists = item[self.resource.id_field] in self.items
        return (ResourceConflict,) if exists or self.taken(item) else ()

    def refusals_of_replace(self, item: Item, *, if_match: int | None, create: bool) -> Refusals:
        id = item[self.resource.id_field]
        if id not in self.items:
            if not create:
                return (ResourceNotFound,)
            if if_match is not None:
                return (PreconditionFailed,)
        elif create or if_match not in (None, self.revisions[id]):
            return (PreconditionFailed,)
        return (ResourceConflict,) if self.taken(item) else ()

    def refusals_of_patch(self, id: str, patch: Item, *, if_match: int | None) -> Refusals:
        """Return what may be raised; of two reasons, either may come first."""
        reasons: list[type[SarvanOMError]] = []
        if id not in self.items:
            reasons.append(ResourceNotFound)
        elif if_match not in (None, self.revisions[id]):
            reasons.append(PreconditionFailed)
        if self.is_broken(id, patch):
            reasons.append(ValidationFailed)
        if not reasons and self.taken(self.patched(id, patch)):
            reasons.append(ResourceConflict)
        return tuple(reasons)

    def refusals_of_delete(self, id: str, *, if_match: int | None) -> Refusals:
        if id not in self.items:
            return (ResourceNotFound,)
        return () if if_match in (None, self.revisions[id]) else (PreconditionFailed,)

    def is_broken(self, id: str, patch: Item) -> bool:
        """Tell whether a patch removes what is required, changes the id, or names a field that there is not."""
        fields = self.resource.model.model_fields
        return any(
            name not in fields
            or (name == self.resource.id_field and value != id)
            or (value is None and fields[name].is_required())
            for name, value in patch.items()
        )

    def patched(self, id: str, patch: Item) -> Item:
        """Return the item with a merge patch applied, defaults where that leaves nothing."""
        merged = merge(self.items[id], patch)
        fields = self.resource.model.model_fields
        defaults = {
            name: info.get_default(call_default_factory=True) for name, info in fields.items() if not info.is_required()
        }
        return {name: value for name, value in (defaults | merged).items() if name not in self.server_fields}

    @property
    def server_fields(self) -> frozenset[str]:
        fields: frozenset[str] = self.resource.model.server_fields
        return fields

    def put(self, item: Item, revision: int) -> None:
        id = item[self.resource.id_field]
        self.items[id] = item
        self.revisions[id] = revision

    def remove(self, id: str) -> None:
        del self.items[id]
        del self.revisions[id]

    def ordered(self, terms: Iterable[str], service: str | None) -> list[str]:
        """Return the ids of a service's items, or of all, sorted by the terms, the last of which is the id."""
        chosen = [id for id, item in self.items.items() if service in (None, item["service"])]
        for term in reversed([*terms]):
            name = term.removeprefix("-")
            unique = name in self.resource.unique
            values = {id: self.items[id][name].casefold() if unique else self.items[id][name] for id in chosen}
            chosen.sort(key=values.__getitem__, reverse=term.startswith("-"))
        return chosen


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch as RFC 7396, section 2, spells it out."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
