"""Faults of what the tables hold in the end."""

import random
from dataclasses import replace

from tests.invariants.checks.indexed import place
from tests.invariants.history import Head, Logged, Row
from tests.invariants.planted.events import History, changed, of, pick, states, without


def change_a_row(history: History, chance: random.Random) -> History:
    row = pick(chance, of(Row, history))
    return changed(history, row, replace(row, body={**row.body, "username": "another"}))


def drop_a_row(history: History, chance: random.Random) -> History:
    return without(history, pick(chance, of(Row, history)))


def list_a_row_twice(history: History, chance: random.Random) -> History:
    return [*history, pick(chance, of(Row, history))]


def keep_a_deleted_row(history: History, chance: random.Random) -> History:
    """List a row of a resource that the log deleted last."""
    row = pick(chance, of(Row, history))
    head = of(Head, history)[0].revision + 1
    last = states(history)[place(row)][-1]
    gone = replace(last, revision=head, operation="delete", previous_revision=last.revision, after=None)
    return [*without(history, of(Head, history)[0]), Logged(change=gone), Head(revision=head)]
