"""Invariant 2: the log's revisions are 1 to N, and in an order that agrees with real time."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.invariants.checks.indexed import IndexedHistory, Violation


def revisions_are_dense(history: IndexedHistory) -> Iterator[Violation]:
    """The log holds each revision from 1 to the head once."""
    held = Counter(change.revision for change in history.log)
    for revision in range(1, max([history.head, *held]) + 1):
        if not held[revision]:
            yield Violation("log_gap", f"revision {revision} is not in the log")
        if held[revision] > 1:
            yield Violation("log_repeat", f"revision {revision} is in the log {held[revision]} times")
        if revision > history.head:
            yield Violation("log_beyond_head", f"revision {revision} is in the log, but the head is {history.head}")


def log_is_read_in_order(history: IndexedHistory) -> Iterator[Violation]:
    """Whoever reads the log gets it in the order of its revisions."""
    for one, next_one in pairwise(history.log):
        if next_one.revision < one.revision:
            yield Violation("log_order", f"revision {next_one.revision} was listed after {one.revision}")


def order_agrees_with_real_time(history: IndexedHistory) -> Iterator[Violation]:
    """A write gets a later revision than any that somebody had been told of before it was called."""
    for change in history.by_revision.values():
        called_at = history.called_at.get(change.request_id)
        if called_at is None:
            continue
        shown = history.shown_before(called_at)
        if change.revision <= shown:
            detail = f"revision {change.revision} went to a write that was called after {shown} had been shown"
            yield Violation("real_time_order", detail)
