"""Invariant 7: replaying the log from 0 gives what the tables hold, each change following from the state before."""

from collections import Counter
from collections.abc import Iterator

from tests.invariants.checks.indexed import IndexedHistory, Place, Violation, place, same
from tests.invariants.history import Change

UNIQUE = {"users": ("username", "email")}


def changes_follow_from_states(history: IndexedHistory) -> Iterator[Violation]:
    """What is created was not there, what is updated or deleted was, and each entry names the state before."""
    for change in history.by_revision.values():
        before = history.before[change.revision]
        if (change.operation == "create") != (before is None):
            there = "was not there" if before is None else f"was there since {before.revision}"
            yield Violation("operation", f"revision {change.revision} is a {change.operation} of what {there}")
        previous = before and before.revision
        if change.previous_revision != previous:
            detail = f"revision {change.revision} follows {previous}, but names {change.previous_revision}"
            yield Violation("previous_revision", detail)


def entries_hold_the_state_after(history: IndexedHistory) -> Iterator[Violation]:
    """An entry holds the state after it, with its own revision; a deletion holds none."""
    for change in history.by_revision.values():
        if change.operation == "delete" and change.after is not None:
            yield Violation("after", f"revision {change.revision} is a deletion, but has a state after it")
        if change.operation != "delete" and (change.after or {}).get("revision") != change.revision:
            yield Violation("after", f"revision {change.revision} has a state of another revision, or none")


def tables_hold_the_last_states(history: IndexedHistory) -> Iterator[Violation]:
    """Every table has the rows that the log leaves, with the bodies that it leaves, and no other."""
    expected = {where: changes[-1].after for where, changes in history.by_place.items()}
    rows = Counter(place(row) for row in history.rows)
    for where, times in rows.items():
        if times > 1:
            yield Violation("row_repeated", f"{where} was listed {times} times")
        if expected.get(where) is None:
            yield Violation("row_extra", f"{where} is in its table, but the log does not leave it there")
    for where, body in expected.items():
        if body is not None and not rows[where]:
            yield Violation("row_missing", f"{where} is not in its table, but the log leaves it there")
    for row in history.rows:
        body = expected.get(place(row))
        if body is not None and not same(body, row.body):
            yield Violation("row_differs", f"{place(row)} is {row.body}, but the log leaves {body}")


def unique_fields_stay_unique(history: IndexedHistory) -> Iterator[Violation]:
    """At no revision do two resources have the same value in a unique field, whatever its case."""
    held: dict[tuple[str, str, str], str] = {}
    values: dict[Place, list[tuple[str, str, str]]] = {}
    for change in history.by_revision.values():
        for value in values.pop(place(change), []):
            if held.get(value) == change.id:
                del held[value]
        values[place(change)] = taken = _unique_values(change)
        for value in taken:
            other = held.setdefault(value, change.id)
            if other != change.id:
                detail = f"revision {change.revision} gives {change.id} the {value[1]} that {other} has: {value[2]!r}"
                yield Violation("not_unique", detail)


def _unique_values(change: Change) -> list[tuple[str, str, str]]:
    body = change.after or {}
    fields = UNIQUE.get(change.resource, ())
    return [(change.resource, field, str(body[field]).casefold()) for field in fields if field in body]
