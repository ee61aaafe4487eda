"""What a store promises: JSON documents in collections, one revision a write, everything durable or not done."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sarvanom.backends.storage.bodies import Bodies
from sarvanom.backends.storage.log import RevisionLog
from sarvanom.shared.changes import LogBounds
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import CacheStats, ResourceModel
from sarvanom.shared.observations import DatabaseSystem
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import Resource

MAX_DOCUMENT_BYTES: Final = 32 * 2**20
"""The largest resource; half of what a client reads in one answer, so that it can always be served."""


class Document(NamedTuple):
    """A stored resource: `body` is its JSON text as it is served, the server's fields included; `service` owns it."""

    id: str
    revision: int
    created_at: str
    body: bytes
    service: str


class Written(NamedTuple):
    """The outcome of a write: its revision, and what is stored now (None after a deletion).

    `is_replay` tells that the write was carried out before, under the same idempotency key, with this outcome; `is_new`
    that a write which brings its item found nothing under the id.
    """

    revision: int
    document: Document | None
    is_replay: bool = False
    is_new: bool = False


class Removed(NamedTuple):
    """The outcome of a deletion by conditions: the collection's revision after it, and how many it removed."""

    revision: int
    deleted: int
    is_replay: bool = False


class DocumentPage(NamedTuple):
    """One page of a list: JSON texts in order, the cursor of the next page, the total if it was asked for."""

    bodies: list[bytes]
    next_cursor: str | None
    total: int | None


class IdempotencyKey(NamedTuple):
    """The key under which a write is carried out once, and a digest of the request that it stands for.

    `former` are digests of the same request, as they were made before.
    """

    key: str
    fingerprint: bytes
    former: tuple[bytes, ...] = ()


class Origin(NamedTuple):
    """Who asks for a write, and how the request is called."""

    request_id: str = ""
    actor: str | None = None
    key: IdempotencyKey | None = None


class Revert(NamedTuple):
    """That a write undoes a revision, which must be the last change of its id; `created_at` is what comes back."""

    revision: int
    created_at: str | None


class Snapshot(NamedTuple):
    """One state of a store: the last revision of each sequence, and what is live, as it is served.

    Collections come one after the other, each in the order of its ids. A batch is of one of them, and never empty.
    """

    revisions: Mapping[str, int]
    batches: AsyncIterator[tuple[Resource[Any], Sequence[bytes]]]


class ServerRoom(NamedTuple):
    """How many connections a database server lets ordinary users have in all, and how many are open."""

    most: int
    open: int


class StoreState(NamedTuple):
    """How the database is: the version of its schema, what its log covers; `room` is None where nothing is bounded."""

    system: DatabaseSystem
    schema: str
    bounds: LogBounds
    room: ServerRoom | None = None


class Restored(NamedTuple):
    """A resource to be stored as it was: `item` has the server's fields; `line` is where it stands in the export."""

    resource: Resource[Any]
    item: ResourceModel
    line: int


type Decide = Callable[[Document | None], ResourceModel | None]
"""Told what is stored under an id, or None, returns what to store, or None to delete; raises to refuse.

It runs inside the transaction, perhaps in another thread and more than once, must not block, and depends on nothing but
what it is told.
"""

NOBODY: Final = Origin()


@dataclass(slots=True)
class Write:
    """A change of one resource.

    `item` is what `decide` stores, where that does not depend on what is stored; `text` is its JSON text, if that has
    been made already, which then need not be done by who writes for all. `is_prepared` is for `Store.prepare` to set.
    """

    resource: Resource[Any]
    id: str
    decide: Decide
    item: ResourceModel | None = None
    origin: Origin = NOBODY
    revert: Revert | None = None
    text: bytes | None = None
    is_prepared: bool = False

    @property
    def brings_item(self) -> bool:
        """Whether what it stores is in the request, and nowhere else."""
        return self.item is not None and self.revert is None


class Store(ABC):
    """Where resources are kept.

    The logged resources share one sequence of revisions, 1 to N without gaps in commit order, and every one of their
    changes has an entry in `log`; an unlogged collection has a sequence of its own.

    A method raises `ServiceUnavailable` if the database is away, full or too busy; then nothing was changed. It raises
    `UpstreamTimeout` if a write was under way when the database went away, and it cannot be known what became of it.
    """

    log: RevisionLog
    bodies: Bodies

    @abstractmethod
    async def look(self) -> StoreState:
        """Ask the database how it is, never on the event loop's own time: one that hangs keeps nobody else waiting.

        However many call this, and give up waiting, no more is under way than one question at a time needs.
        """

    @abstractmethod
    async def read(self, resource: Resource[Any], id: str) -> Document | None:
        """Return what is stored under the id; None if there is nothing, or its time ran out."""

    @abstractmethod
    async def write(self, write: Write) -> Written:
        """Change one resource in a transaction of its own outcome, and return when that is durable.

        Raises:
            ResourceConflict: a unique field is taken.
            PayloadTooLarge: the resource would have more than `MAX_DOCUMENT_BYTES`.
            IdempotencyKeyReused: the key stands for another request.
            RevertConflict: the revision to revert is not the last change of its id.
            SarvanOMError: whatever `decide` raised.
        """

    def prepare(self, write: Write) -> Write:
        """Return what to give to `write_all` instead, with that done which does not depend on what is stored.

        Nobody has to call this: who has many writes spreads the work over the time in which they come in.

        Raises:
            ValidationFailed: the write is refused as it stands.
        """
        return write

    @abstractmethod
    async def write_all(self, writes: Sequence[Write]) -> list[Written | SarvanOMError]:
        """Carry out several writes in their order, each with the outcome that `write` returns or raises.

        Calls of it about one resource are carried out in the order in which they were made, also if none was waited
        for, but in no particular order to `write`.
        """

    @abstractmethod
    async def list(self, resource: Resource[Any], query: ListQuery) -> DocumentPage:
        """Return one page of what matches, from one state of the store."""

    @abstractmethod
    async def delete_where(
        self, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin = NOBODY
    ) -> Removed:
        """Delete everything in an unlogged collection that matches, as one write.

        It takes a revision if there was anything; raises `IdempotencyKeyReused`.
        """

    @abstractmethod
    async def reclaim(self) -> int:
        """Free the storage of a bounded number of expired resources; return how many they were."""

    @abstractmethod
    async def forget_keys(self, before: str) -> int:
        """Forget a bounded number of idempotency keys first used before a time; return how many they were."""

    @abstractmethod
    async def stats(self, resource: Resource[Any]) -> CacheStats:
        """Return what an expiring collection holds, and its counters over all processes."""

    @abstractmethod
    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Hold on to the present state while it is read, however slowly; others write meanwhile."""

    @abstractmethod
    async def restore(
        self, revisions: Mapping[str, int], batches: AsyncIterator[Sequence[Restored]]
    ) -> Mapping[str, int]:
        """Fill a store that was never written to, in one transaction; return how many there are of each collection.

        Afterwards the sequences stand at `revisions`, and the log's floor with them: history begins with what was
        restored. What has expired is left out. The batches must not be long in coming: others wait to write.

        Raises:
            StoreNotEmpty: the store has been written to.
            ValidationFailed: two resources have the same id, revision or unique field.
            PayloadTooLarge: a resource has more than `MAX_DOCUMENT_BYTES`.
            Exception: whatever `batches` raises.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Finish the writes under way and close; idempotent."""
