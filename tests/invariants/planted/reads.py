"""Faults of what readers read."""

import random
from dataclasses import replace

from tests.invariants.history import Change, Logged, Read
from tests.invariants.planted.events import History, changed, of, pick, states


def read_of(change: Change, at: float) -> Read:
    """Return a read that sees the state after a change."""
    return Read(
        reader="planted",
        resource=change.resource,
        id=change.id,
        called_at=at,
        returned_at=at + 0.1,
        revision=change.revision if change.after else None,
        body=change.after,
    )


def read_what_was_replaced(history: History, chance: random.Random) -> History:
    """Read, after everything was acknowledged, what was there at the beginning."""
    replaced = [changes for changes in states(history).values() if len(changes) > 1 and changes[0].after]
    return [*history, read_of(pick(chance, replaced)[0], 99.0)]


def read_nothing_where_something_is(history: History, chance: random.Random) -> History:
    there = [changes[-1] for changes in states(history).values() if changes[-1].after]
    return [*history, read_of(replace(pick(chance, there), after=None), 99.0)]


def read_what_was_never_there(history: History, chance: random.Random) -> History:
    logged = pick(chance, [logged.change for logged in of(Logged, history) if logged.change.after])
    return [*history, read_of(replace(logged, id="another"), 99.0)]


def read_the_future(history: History, chance: random.Random) -> History:
    logged = pick(chance, [logged.change for logged in of(Logged, history)[9:] if logged.change.after])
    return [*history, read_of(logged, -1.0)]


def read_another_body(history: History, chance: random.Random) -> History:
    read = pick(chance, [read for read in of(Read, history) if read.body])
    return changed(history, read, replace(read, body={**(read.body or {}), "username": "another"}))
