"""The revision log: one entry a change of a logged resource, from which history, undo and watch follow."""

from abc import ABC, abstractmethod
from typing import Any, Final, NamedTuple

from sarvanom.backends.storage.pages import MAX_PAGE_BYTES, PageRows
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.resources import Resource

WINDOW: Final = 10_000
"""How many revisions one page of changes looks through at most, however few of them match."""


class Change(NamedTuple):
    """One entry of the log.

    `service` owns the resource after the change (before it, if it was deleted), `left_service` owned it before if that
    was another. `previous` is the revision of the state before, None if there was none; `body` is the state after as it
    is served, None after a deletion. `reverts` is the revision that this one undid.
    """

    revision: int
    collection: str
    id: str
    kind: str
    service: str
    left_service: str | None
    actor: str | None
    request_id: str
    time: str
    previous: int | None
    reverts: int | None
    body: bytes | None


class ChangePage(NamedTuple):
    """Changes in order, the revision up to which everything that matches has been seen, and the log's bounds."""

    changes: list[Change]
    until: int
    bounds: LogBounds


class RevisionLog(ABC):
    """The log of a store."""

    @abstractmethod
    async def bounds(self) -> LogBounds:
        """Return what the log covers; also a probe that the database answers."""

    @abstractmethod
    async def page(self, query: ChangeQuery, max_bytes: int = MAX_PAGE_BYTES) -> ChangePage:
        """Return the changes that match, at most `limit` and so many bytes of them, looking through one window.

        Raises:
            RevisionCompacted: changes after `since` are no longer held.
            ValidationFailed: `since` is still to come.
        """

    @abstractmethod
    async def change(self, revision: int) -> Change | None:
        """Return the entry of a revision; None if there is none, or it is no longer held."""

    @abstractmethod
    async def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        """Return the last change of a resource at or before a revision; None if it had none that is held.

        Raises:
            RevisionCompacted: the state at that revision is no longer held.
            ValidationFailed: the revision is still to come.
        """

    @abstractmethod
    async def wait(self, since: int, seconds: float) -> int:
        """Return the newest revision as soon as it is after `since`, by whichever process, or after `seconds`."""

    @abstractmethod
    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        """Let go of a bounded number of revisions that nobody may ask for any more; return how many.

        Gone may be what is not among the newest `keep`, and what is older than `before`. The state at the new floor
        stays: a resource's last change at or before it is kept as long as it is the resource's state.
        """


def page_end(query: ChangeQuery, since: int, bounds: LogBounds) -> int:
    """Return the last revision that a page looks at: all of a resource's history, which has an index, or one window."""
    return bounds.head if query.is_history else min(bounds.head, since + WINDOW)


def take_page(page: PageRows, limit: int, until: int) -> tuple[list[Change], int]:
    """Return the changes of a page's rows, and the revision up to which they are all that match.

    Behind a page that is full nobody has looked: whether there is more is for the next one to tell.
    """
    changes = [Change(*row) for row in page.rows]
    return changes, changes[-1].revision if page.has_more or len(changes) == limit else until


def compaction_target(bounds: LogBounds, keep: int | None, aged: int | None, batch: int) -> int:
    """Return the revision that becomes the floor: what is too many or too old, but one batch at most."""
    excess = bounds.floor if keep is None else bounds.head - keep
    return min(max(excess, aged or 0), bounds.floor + batch)
