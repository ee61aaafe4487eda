"""Invariant 3: a watcher that resumes from N sees every later change once, in order, as the log has it."""

from collections import Counter
from collections.abc import Iterator

from tests.invariants.checks.indexed import IndexedHistory, Violation, same
from tests.invariants.history import Change, Moved, Seen, Watching


def watchers_see_all_they_asked_for(history: IndexedHistory) -> Iterator[Violation]:
    """A watcher sees each revision that it asked for, after its start and up to the head, exactly once."""
    for watcher, events in history.watched.items():
        first = next(event for event in events if isinstance(event, Watching))
        times = Counter(change.revision for change in _seen(events))
        asked = {
            change.revision
            for change in history.by_revision.values()
            if change.revision > first.since and first.only in {None, change.resource}
        }
        for revision in sorted(asked - times.keys()):
            yield Violation("watch_missed", f"{watcher} (from {first.since}) never saw revision {revision}")
        for revision in sorted(times.keys() - asked):
            yield Violation("watch_unasked", f"{watcher} saw revision {revision}, for which it did not ask")
        for revision, count in times.items():
            if count > 1:
                yield Violation("watch_repeated", f"{watcher} saw revision {revision} {count} times")


def watchers_see_in_order(history: IndexedHistory) -> Iterator[Violation]:
    """A watcher sees only what is after the place that it has reached, and resumes there."""
    for watcher, events in history.watched.items():
        reached: int | None = None
        seen: set[int] = set()
        for event in events:
            place = _place(event)
            told = f"{watcher} had reached {reached}, and then came {place}"
            match event:
                case Watching() if reached not in {None, place}:
                    yield Violation(
                        "watch_resumed_elsewhere", f"{watcher} had reached {reached}, but asked for {place}"
                    )
                case Moved() if reached is not None and place < reached:
                    yield Violation("watch_out_of_order", told)
                case Seen() if reached is not None and place <= reached and place not in seen:
                    yield Violation("watch_out_of_order", told)
            if isinstance(event, Seen):
                seen.add(place)
            reached = place


def _place(event: Watching | Seen | Moved) -> int:
    """Return the place in the log that a watcher has reached with an event."""
    match event:
        case Watching():
            return event.since
        case Moved():
            return event.revision
        case Seen():
            return event.change.revision


def watchers_see_what_is_logged(history: IndexedHistory) -> Iterator[Violation]:
    """What a watcher is sent is the log's entry, field for field."""
    for watcher, events in history.watched.items():
        for change in _seen(events):
            logged = history.by_revision.get(change.revision)
            if logged is not None and (change != logged or not same(change.after, logged.after)):
                yield Violation("watch_differs", f"{watcher} saw {change}, but the log has {logged}")


def _seen(events: list[Watching | Seen | Moved]) -> Iterator[Change]:
    return (event.change for event in events if isinstance(event, Seen))
