"""What can be asked of the revision log, and what it covers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sarvanom.shared.errors import FieldError, RevisionCompacted, ValidationFailed
from sarvanom.shared.models.fields import MAX_INTEGER


class ChangeKind(StrEnum):
    """What a change did to its resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class LogBounds(NamedTuple):
    """What the log covers: every revision after `floor` up to `head`, and the state at `floor`."""

    floor: int
    head: int

    def check(self, revision: int, field: str) -> None:
        """Refuse a revision whose state, or whose successor, the log cannot tell.

        Raises:
            RevisionCompacted: it is older than what is held.
            ValidationFailed: it is still to come.
        """
        if revision < self.floor:
            raise RevisionCompacted(
                f"Revision {revision} is no longer held; the oldest is {self.floor}",
                headers={"SarvanOM-Oldest-Revision": str(self.floor)},
            )
        if revision > self.head:
            message = f"Must be at most {self.head}, the newest revision"
            raise ValidationFailed("There is no such revision yet", errors=[FieldError(field, message)])


def check_revision(revision: int) -> int:
    """Return what may be the revision of a change; raises `ValidationFailed`."""
    if not 1 <= revision <= MAX_INTEGER:
        message = f"Must be the number of a revision, from 1 to {MAX_INTEGER}"
        raise ValidationFailed("This is no revision", errors=[FieldError("revision", message)])
    return revision


class ChangeShape(NamedTuple):
    """Which conditions changes have to fulfil: whether there is one, or how many values it has."""

    of_collection: bool
    of_id: bool
    services: int | None
    collections: int | None


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which changes to read: those after `since` (None: from the oldest held), of one collection and id.

    `services` are those whose view of the log it is, and `collections` those that may be read; None are all.
    """

    since: int | None = None
    collection: str | None = None
    id: str | None = None
    services: frozenset[str] | None = None
    limit: int = 100
    collections: frozenset[str] | None = None

    @property
    def shape(self) -> ChangeShape:
        """What is given; the statement depends on it."""
        return ChangeShape(
            self.collection is not None,
            self.id is not None,
            None if self.services is None else len(self.services),
            None if self.collections is None else len(self.collections),
        )

    def values(self, since: int, until: int) -> dict[str, Any]:
        """Return the values of the statement's parameters."""
        return {
            "since": since,
            "until": until,
            "collection": self.collection,
            "id": self.id,
            "limit": self.limit,
            **{f"service_{number}": service for number, service in enumerate(sorted(self.services or ()))},
            **{f"collection_{number}": name for number, name in enumerate(sorted(self.collections or ()))},
        }

    def matches(self, collection: str, id: str, service: str, left_service: str | None) -> bool:
        """Tell whether a change is one of them, its revision aside."""
        return (
            (self.collection is None or self.collection == collection)
            and (self.id is None or self.id == id)
            and (self.services is None or service in self.services or left_service in self.services)
            and (self.collections is None or collection in self.collections)
        )

    @property
    def is_history(self) -> bool:
        """Whether this is the history of one resource, to which an index leads."""
        return self.collection is not None and self.id is not None

    def begin(self, bounds: LogBounds) -> int:
        """Return the revision after which the page begins; raises as `RevisionLog.page` does."""
        if self.since is None:
            return bounds.floor
        bounds.check(self.since, "since")
        return self.since
