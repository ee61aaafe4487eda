"""Faults of what watchers see."""

import random
from dataclasses import replace

from tests.invariants.history import Head, Logged, Moved, Seen, Watching
from tests.invariants.planted.events import History, changed, of, pick, swapped, without


def unfiltered(history: History) -> list[str]:
    """Return the watchers of everything from the start."""
    watchers = [event for event in of(Watching, history) if event.only is None and event.since == 0]
    return [event.watcher for event in watchers]


def one_seen(history: History, chance: random.Random) -> Seen:
    """Choose what a watcher saw, neither first nor last."""
    watcher = pick(chance, unfiltered(history))
    return pick(chance, [seen for seen in of(Seen, history) if seen.watcher == watcher][1:-1])


def miss_one(history: History, chance: random.Random) -> History:
    return without(history, one_seen(history, chance))


def miss_the_last(history: History, chance: random.Random) -> History:
    watcher = pick(chance, unfiltered(history))
    return without(history, [seen for seen in of(Seen, history) if seen.watcher == watcher][-1])


def see_one_twice(history: History, chance: random.Random) -> History:
    seen = one_seen(history, chance)
    index = history.index(seen)
    return [*history[: index + 1], seen, *history[index + 1 :]]


def see_in_another_order(history: History, chance: random.Random) -> History:
    seen = one_seen(history, chance)
    later = [other for other in of(Seen, history) if other.watcher == seen.watcher]
    return swapped(history, seen, later[later.index(seen) + 1])


def resume(history: History, chance: random.Random) -> tuple[int, Seen]:
    """Let a watcher of everything be cut off; return where in the history that is, and what it saw last."""
    seen = one_seen(history, chance)
    return history.index(seen) + 1, seen


def resumption(seen: Seen) -> Watching:
    """Return how a watcher resumes after what it saw."""
    return Watching(watcher=seen.watcher, since=seen.change.revision, asked_at=seen.seen_at)


def miss_one_after_resuming(history: History, chance: random.Random) -> History:
    index, seen = resume(history, chance)
    rest = history[index:]
    missed = next(event for event in rest if isinstance(event, Seen) and event.watcher == seen.watcher)
    return [*history[:index], resumption(seen), *without(rest, missed)]


def see_again_after_resuming(history: History, chance: random.Random) -> History:
    index, seen = resume(history, chance)
    return [*history[:index], resumption(seen), seen, *history[index:]]


def resume_elsewhere(history: History, chance: random.Random) -> History:
    index, seen = resume(history, chance)
    elsewhere = replace(resumption(seen), since=seen.change.revision - 1)
    return [*history[:index], elsewhere, *history[index:]]


def see_what_is_not_logged(history: History, chance: random.Random) -> History:
    seen = one_seen(history, chance)
    beyond = replace(seen.change, revision=of(Head, history)[0].revision + 1)
    return [*history, replace(seen, change=beyond)]


def see_what_was_before_the_start(history: History, chance: random.Random) -> History:
    late = Watching(watcher="late", since=3, asked_at=0)
    log = [logged.change for logged in of(Logged, history)]
    return [*history, late, *(Seen(watcher="late", seen_at=99, change=change) for change in log[2:])]


def move_past_a_change(history: History, chance: random.Random) -> History:
    """Tell a watcher that there is nothing up to a change that it was not sent."""
    missed = one_seen(history, chance)
    index = history.index(missed)
    moved = Moved(watcher=missed.watcher, revision=missed.change.revision)
    return [*history[:index], moved, *history[index + 1 :]]


def move_past_what_comes_then(history: History, chance: random.Random) -> History:
    seen = one_seen(history, chance)
    index = history.index(seen)
    return [*history[:index], Moved(watcher=seen.watcher, revision=seen.change.revision), *history[index:]]


def move_back(history: History, chance: random.Random) -> History:
    seen = one_seen(history, chance)
    index = history.index(seen) + 1
    return [*history[:index], Moved(watcher=seen.watcher, revision=0), *history[index:]]


def see_another_body(history: History, chance: random.Random) -> History:
    seen = pick(chance, [seen for seen in of(Seen, history) if seen.change.after])
    other = replace(seen.change, after={**(seen.change.after or {}), "username": "another"})
    return changed(history, seen, replace(seen, change=other))
