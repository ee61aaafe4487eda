"""Items into a collection, a bounded number at a time, and what became of each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Final

from sarvanom.shared.contracts.service_contracts import CollectionContract
from sarvanom.shared.errors import (
    MalformedJSON,
    PayloadTooLarge,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    ValidationFailed,
)
from sarvanom.shared.models.crud_models import ResourceModel

MAX_REASONS: Final = 10

# What concerns one item; any other error would meet the next item just the same.
_REFUSALS: Final = (
    MalformedJSON,
    PayloadTooLarge,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    ValidationFailed,
)


class OnConflict(StrEnum):
    """What to do with an item whose id is taken."""

    ERROR = auto()
    SKIP = auto()
    REPLACE = auto()


class Outcome(StrEnum):
    """What became of an item."""

    CREATED = auto()
    REPLACED = auto()
    SKIPPED = auto()
    REFUSED = auto()


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    `reasons` are those of the first refusals; `halted_by` is what ended it early, at the item `halted_at`.
    """

    total: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    halted_by: SarvanOMError | None = None
    halted_at: str = ""

    @property
    def done(self) -> int:
        """How many items have an outcome."""
        return self.outcomes.total()

    def halt(self, id: str, error: SarvanOMError) -> None:
        """Note why no more items are sent; the first reason stands."""
        if not self.halted_by:
            self.halted_by, self.halted_at = error, id

    def refuse(self, id: str, error: SarvanOMError) -> Outcome:
        """Note why an item was refused, if there is still room."""
        if len(self.reasons) < MAX_REASONS:
            causes = "; ".join(f"{name}: {message}" for name, message in error.errors)
            self.reasons.append(f"{id}: {error.detail}" + (f" ({causes})" if causes else ""))
        return Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Upload[M: ResourceModel]:
    """Where to, how many at once, what to do about conflicts, and whom to tell of each item that is done."""

    collection: CollectionContract[M]
    tally: Tally
    on_conflict: OnConflict = OnConflict.ERROR
    concurrency: int = 16
    on_done: Callable[[], object] = lambda: None

    async def run(self, items: Iterable[M]) -> None:
        """Send all items; the tally is current at every moment, so that it also tells the truth when cancelled."""
        queue = iter(items)
        async with asyncio.TaskGroup() as workers:
            for _ in range(self.concurrency):
                workers.create_task(self._work(queue))

    async def _work(self, queue: Iterator[M]) -> None:
        for item in queue:
            try:
                outcome = await self._send(item)
            except SarvanOMError as error:
                self.tally.halt(self.collection.resource.id_of(item), error)
                return
            self.tally.outcomes[outcome] += 1
            self.on_done()
            if self.tally.halted_by:
                return

    async def _send(self, item: M) -> Outcome:
        try:
            return await self._store(item)
        except _REFUSALS as error:
            return self.tally.refuse(self.collection.resource.id_of(item), error)

    async def _store(self, item: M) -> Outcome:
        try:
            await self.collection.create(item)
        except ResourceConflict:
            if self.on_conflict is OnConflict.ERROR:
                raise
            if self.on_conflict is OnConflict.SKIP:
                return Outcome.SKIPPED
            await self.collection.replace(item)
            return Outcome.REPLACED
        return Outcome.CREATED
