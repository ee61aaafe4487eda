"""What planting a fault takes: choosing events, and putting others in their place."""

import random
from collections.abc import Callable, Sequence

from hypothesis import reject

from tests.invariants.checks.indexed import IndexedHistory, Place
from tests.invariants.history import Change, Event, Write

type History = list[Event]
type Plant = Callable[[History, random.Random], History]


def of[E: Event](kind: type[E], history: History) -> list[E]:
    """Return the events of one kind."""
    return [event for event in history if isinstance(event, kind)]


def pick[T](chance: random.Random, candidates: Sequence[T]) -> T:
    """Choose one; a history that offers none is passed over."""
    if not candidates:
        reject()
    return chance.choice(candidates)


def swapped(history: History, one: Event, other: Event) -> History:
    """Return the history with one event in place of the other, and the other way round."""
    return [other if event is one else one if event is other else event for event in history]


def changed(history: History, old: Event, new: Event) -> History:
    """Return the history with one event in place of another."""
    return [new if event is old else event for event in history]


def without(history: History, *gone: Event) -> History:
    """Return the history without some events."""
    return [event for event in history if all(event is not one for one in gone)]


def acknowledged(history: History) -> list[Write]:
    """Return the writes that were acknowledged, with the replays."""
    return [write for write in of(Write, history) if write.outcome == "ok"]


def states(history: History) -> dict[Place, list[Change]]:
    """Return the changes of each resource that was changed."""
    return IndexedHistory(history).by_place
