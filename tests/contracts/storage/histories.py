"""Made-up histories of a few resources, and what they come to when they are replayed from their log."""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from sarvanom.backends.storage.contract import Store, Write
from sarvanom.backends.storage.log import Change
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.resources import DATASETS, USERS, Resource
from tests.contracts.storage.writing import dataset, putting, removing, user

IDS: Final = ("a", "b", "c")
LOGGED: Final[tuple[tuple[Resource[Any], str], ...]] = tuple(
    (resource, id) for resource in (DATASETS, USERS) for id in IDS
)


class Step(NamedTuple):
    """A change of one of the resources: a service to be put into, or a deletion."""

    place: int
    service: str | None

    @property
    def write(self) -> Write:
        resource, id = LOGGED[self.place]
        if self.service is None:
            return removing(resource, id)
        item = dataset(id, service=self.service) if resource is DATASETS else user(id)
        return putting(resource, item)


EMPTYING: Final = [Step(place, None) for place in range(len(LOGGED))]


def random_steps(seed: int, count: int) -> list[Step]:
    random = Random(seed)
    return [Step(random.randrange(len(LOGGED)), random.choice(("one", "two", None))) for _ in range(count)]


async def apply(store: Store, steps: Iterable[Step]) -> None:
    """Carry the steps out; a deletion of what is not there is refused and leaves no trace."""
    await store.write_all([step.write for step in steps])


class Replay:
    """A whole log, from the revision after `base` on, when there was nothing yet."""

    def __init__(self, changes: Sequence[Change], base: int = 0) -> None:
        assert [change.revision - base for change in changes] == [*range(1, len(changes) + 1)]
        self.changes = [*changes]
        self.base = base
        self.head = base + len(changes)

    def after(self, revision: int) -> list[Change]:
        return self.changes[revision - self.base :]

    def state(self, resource: Resource[Any], id: str, revision: int) -> Change | None:
        """Return the last change at or before a revision."""
        at = (resource.collection, id)
        theirs = (c for c in self.changes[: revision - self.base] if (c.collection, c.id) == at)
        return max(theirs, key=lambda change: change.revision, default=None)

    def body(self, resource: Resource[Any], id: str, revision: int) -> bytes | None:
        state = self.state(resource, id, revision)
        return None if state is None else state.body

    async def follow(self, store: Store) -> "Replay":
        """Return the replay with what has been added to the log since."""
        page = await store.log.page(ChangeQuery(self.head, limit=100_000))
        assert page.until == page.bounds.head
        return Replay([*self.changes, *page.changes], self.base)


async def check_log(store: Store, replay: Replay) -> None:
    """Assert that the log says from its floor on what the whole log, replayed, says."""
    bounds = await store.log.bounds()
    assert bounds.head == replay.head
    page = await store.log.page(ChangeQuery(bounds.floor, limit=100_000))
    assert page.changes == replay.after(bounds.floor)
    for resource, id in LOGGED:
        history = await store.log.page(ChangeQuery(bounds.floor, resource.collection, id, limit=100_000))
        assert history.changes == [c for c in page.changes if (c.collection, c.id) == (resource.collection, id)]
        revisions = range(bounds.floor, bounds.head + 1)
        states = await asyncio.gather(*(store.log.state(resource, id, revision) for revision in revisions))
        for revision, state in zip(revisions, states, strict=True):
            expected = replay.state(resource, id, revision)
            is_gone = expected is not None and expected.body is None and expected.revision <= bounds.floor
            assert state == (None if is_gone else expected)
