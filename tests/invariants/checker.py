"""Judges a history: `python -m tests.invariants.checker FILE` prints what breaks an invariant, one a line."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.invariants.checks.indexed import IndexedHistory, Violation
from tests.invariants.checks.log import log_is_read_in_order, order_agrees_with_real_time, revisions_are_dense
from tests.invariants.checks.reads import reads_are_not_stale
from tests.invariants.checks.replay import (
    changes_follow_from_states,
    entries_hold_the_state_after,
    tables_hold_the_last_states,
    unique_fields_stay_unique,
)
from tests.invariants.checks.watching import (
    watchers_see_all_they_asked_for,
    watchers_see_in_order,
    watchers_see_what_is_logged,
)
from tests.invariants.checks.writes import (
    acknowledged_writes_are_logged,
    every_change_was_asked_for,
    keys_act_once,
    keys_are_answered_alike,
    refused_writes_do_not_act,
)
from tests.invariants.history import Event, read_history

CHECKS: tuple[Callable[[IndexedHistory], Iterator[Violation]], ...] = (
    revisions_are_dense,
    log_is_read_in_order,
    order_agrees_with_real_time,
    changes_follow_from_states,
    entries_hold_the_state_after,
    tables_hold_the_last_states,
    unique_fields_stay_unique,
    acknowledged_writes_are_logged,
    keys_act_once,
    keys_are_answered_alike,
    refused_writes_do_not_act,
    every_change_was_asked_for,
    watchers_see_all_they_asked_for,
    watchers_see_in_order,
    watchers_see_what_is_logged,
    reads_are_not_stale,
)


def check(history: Iterable[Event]) -> list[Violation]:
    """Return everything in the history that breaks an invariant."""
    indexed = IndexedHistory(history)
    return [violation for one_check in CHECKS for violation in one_check(indexed)]


def main(arguments: list[str]) -> int:
    """Check the file that the arguments name; return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.invariants.checker FILE\n")
        return 2
    violations = check(read_history(Path(arguments[0])))
    sys.stdout.writelines(f"{violation}\n" for violation in violations)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
