"""Faults of the log's revisions and entries."""

import random
from dataclasses import replace

from tests.invariants.history import Head, Logged, Write
from tests.invariants.planted.events import History, acknowledged, changed, of, pick, states, swapped, without


def drop_from_log(history: History, chance: random.Random) -> History:
    return without(history, pick(chance, of(Logged, history)[:-1]))


def drop_end_of_log(history: History, chance: random.Random) -> History:
    return without(history, of(Logged, history)[-1])


def grow_log_past_head(history: History, chance: random.Random) -> History:
    head = of(Head, history)[0]
    return changed(history, head, Head(revision=head.revision - 1))


def repeat_in_log(history: History, chance: random.Random) -> History:
    return [*history, pick(chance, of(Logged, history))]


def list_log_in_another_order(history: History, chance: random.Random) -> History:
    log = of(Logged, history)
    index = chance.randrange(len(log) - 1)
    return swapped(history, log[index], log[index + 1])


def swap_revisions(history: History, chance: random.Random) -> History:
    """Exchange the revisions of two entries, in the log alone."""
    log = of(Logged, history)
    answered = {write.request_id for write in acknowledged(history)}
    one = pick(chance, [logged for logged in log if logged.change.request_id in answered])
    other = pick(chance, [logged for logged in log if logged is not one])
    new_one = Logged(change=replace(one.change, revision=other.change.revision))
    new_other = Logged(change=replace(other.change, revision=one.change.revision))
    return swapped(changed(changed(history, one, new_one), other, new_other), new_one, new_other)


def call_after_a_later_one_returned(history: History, chance: random.Random) -> History:
    """Let a write be called only after a later revision had been acknowledged."""
    log = {logged.change.request_id: logged.change.revision for logged in of(Logged, history)}
    answers = acknowledged(history)
    write = pick(chance, [write for write in answers if log[write.request_id] < len(log) * 3 // 4])
    assert write.revision is not None
    later = min(
        other.returned_at or 0 for other in answers if log[other.request_id] > write.revision and not other.replayed
    )
    return [
        replace(event, called_at=later + 1, tried_at=later + 1, returned_at=later + 2)
        if isinstance(event, Write) and event.key == write.key
        else event
        for event in history
    ]


def log_differently(history: History, chance: random.Random, **fields: object) -> History:
    """Change fields of an entry of the log that is an update."""
    updates = [logged for logged in of(Logged, history) if logged.change.operation == "update"]
    logged = pick(chance, updates)
    return changed(history, logged, Logged(change=replace(logged.change, **fields)))  # type: ignore[arg-type]


def log_create_of_what_is_there(history: History, chance: random.Random) -> History:
    return log_differently(history, chance, operation="create")


def log_another_previous(history: History, chance: random.Random) -> History:
    return log_differently(history, chance, previous_revision=0)


def log_update_without_state(history: History, chance: random.Random) -> History:
    return log_differently(history, chance, after=None)


def give_a_name_twice(history: History, chance: random.Random) -> History:
    """Let the log give one user's name to another, while the first one has it."""
    users = [changes for (resource, _), changes in states(history).items() if resource == "users"]
    there = [changes[-1] for changes in users if changes[-1].after]
    one = pick(chance, there)
    other = pick(chance, [change for change in there if change is not one])
    taken = {**(other.after or {}), "username": str((one.after or {})["username"]).upper()}
    logged = next(logged for logged in of(Logged, history) if logged.change is other)
    return changed(history, logged, Logged(change=replace(other, after=taken)))
