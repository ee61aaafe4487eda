"""What a store promises: JSON documents in collections, one revision a write, everything durable or not done."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sarvanom.shared.models.crud_models import CacheStats, ResourceModel
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import Resource

MAX_DOCUMENT_BYTES: Final = 32 * 2**20
"""The largest resource; half of what a client reads in one answer, so that it can always be served."""


class Document(NamedTuple):
    """A stored resource: `body` is its JSON text as it is served, the server's fields included."""

    id: str
    revision: int
    created_at: str
    body: bytes


class Written(NamedTuple):
    """The outcome of a write: its revision, and what is stored now (None after a deletion)."""

    revision: int
    document: Document | None


class Removed(NamedTuple):
    """The outcome of a deletion by conditions: the store's revision after it, and how many resources it removed."""

    revision: int
    deleted: int


class DocumentPage(NamedTuple):
    """One page of a list: JSON texts in order, the cursor of the next page, the total if it was asked for."""

    bodies: list[bytes]
    next_cursor: str | None
    total: int | None


type Decide = Callable[[Document | None], ResourceModel | None]
"""Told what is stored under an id, or None, returns what to store, or None to delete; raises to refuse."""


class Store(ABC):
    """Where resources are kept.

    A method raises `ServiceUnavailable` if the database is away, full or too busy; then nothing was changed.
    """

    @abstractmethod
    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        """Return what is stored under the id; None if there is nothing, or its time ran out."""

    @abstractmethod
    async def write(self, resource: Resource[Any], id: str, decide: Decide) -> Written:
        """Change one resource in a transaction of its own outcome, and return when that is durable.

        `decide` runs inside the transaction, perhaps in another thread, and must not block.

        Raises:
            ResourceConflict: a unique field is taken.
            PayloadTooLarge: the resource would have more than `MAX_DOCUMENT_BYTES`.
            SarvanOMError: whatever `decide` raised.
        """

    @abstractmethod
    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        """Return one page of what matches, from one state of the store."""

    @abstractmethod
    async def delete_where(self, resource: Resource[Any], conditions: tuple[Condition, ...]) -> Removed:
        """Delete everything that matches as one write, which takes a revision if there was anything."""

    @abstractmethod
    async def reclaim(self) -> int:
        """Free the storage of a bounded number of expired resources; return how many they were."""

    @abstractmethod
    async def stats(self, resource: Resource[Any]) -> CacheStats:
        """Return what an expiring collection holds, and its counters over all processes."""

    @abstractmethod
    async def revision(self) -> int:
        """Return the revision of the last write; also a probe that the database answers."""

    @abstractmethod
    async def aclose(self) -> None:
        """Finish the writes under way and close; idempotent."""
