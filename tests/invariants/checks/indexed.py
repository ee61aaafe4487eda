"""A history sorted by what the checks ask of it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import orjson

from tests.invariants.history import Body, Change, Event, Head, Logged, Moved, Read, Row, Seen, Watching, Write

type Place = tuple[str, str]
"""A resource's collection and its id."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What a history shows that must not be; `check` is the rule that it breaks."""

    check: str
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"


class IndexedHistory:
    """The events of a history by kind, and what follows from them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.writes: list[Write] = []
        self.watched: dict[str, list[Watching | Seen | Moved]] = defaultdict(list)
        self.reads: list[Read] = []
        self.log: list[Change] = []
        self.rows: list[Row] = []
        self.head = 0
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case Write():
                self.writes.append(event)
            case Watching() | Seen() | Moved():
                self.watched[event.watcher].append(event)
            case Read():
                self.reads.append(event)
            case Logged():
                self.log.append(event.change)
            case Row():
                self.rows.append(event)
            case Head():
                self.head = event.revision

    @cached_property
    def by_revision(self) -> dict[int, Change]:
        """The log's entries in the order of their revisions; of a repeated one, the first."""
        found: dict[int, Change] = {}
        for change in self.log:
            found.setdefault(change.revision, change)
        return dict(sorted(found.items()))

    @cached_property
    def by_request(self) -> dict[str, list[Change]]:
        """The log's entries by the request that made them."""
        found: dict[str, list[Change]] = defaultdict(list)
        for change in self.log:
            found[change.request_id].append(change)
        return dict(found)

    @cached_property
    def by_place(self) -> dict[Place, list[Change]]:
        """The changes of each resource, oldest first."""
        found: dict[Place, list[Change]] = defaultdict(list)
        for change in self.by_revision.values():
            found[change.resource, change.id].append(change)
        return dict(found)

    @cached_property
    def before(self) -> dict[int, Change | None]:
        """By revision, the change of the same resource that came before; None if it did not exist then."""
        found: dict[int, Change | None] = {}
        for changes in self.by_place.values():
            last: Change | None = None
            for change in changes:
                found[change.revision] = last
                last = None if change.after is None else change
        return found

    @cached_property
    def by_key(self) -> dict[str, list[Write]]:
        """What was learned under each idempotency key: the write, then its replays."""
        found: dict[str, list[Write]] = defaultdict(list)
        for write in self.writes:
            found[write.key].append(write)
        return dict(found)

    @cached_property
    def called_at(self) -> dict[str, float]:
        """By request id, when the write was first tried."""
        found: dict[str, float] = {}
        for write in self.writes:
            found[write.request_id] = min(write.called_at, found.get(write.request_id, write.called_at))
        return found

    @cached_property
    def _shown(self) -> tuple[list[float], list[int]]:
        """When somebody was told of a revision, and the newest that anybody had been told of by then."""
        told = [(write.returned_at, write.revision) for write in self.writes if write.outcome == "ok"]
        told += [(read.returned_at, read.revision) for read in self.reads]
        seen = (event for events in self.watched.values() for event in events if isinstance(event, Seen))
        told += [(event.seen_at, event.change.revision) for event in seen]
        known = sorted((at, number) for at, number in told if at is not None and number in self.by_revision)
        return [at for at, _ in known], list(accumulate((number for _, number in known), max))

    def shown_before(self, moment: float) -> int:
        """Return the newest revision that anybody had been told of: it and all before it were committed by then."""
        times, newest = self._shown
        index = bisect_left(times, moment)
        return newest[index - 1] if index else 0


def same(one: Body, other: Body) -> bool:
    """Tell whether two bodies are equal as JSON, to the kind of their numbers."""
    return one is other or _canonical(one) == _canonical(other)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def place(event: Change | Write | Read | Row) -> Place:
    """Return where the resource of an event stands."""
    return event.resource, event.id
