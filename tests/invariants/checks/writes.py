"""Invariants 1 and 7: what was acknowledged is in the log as it was answered, and a key acts at most once."""

from collections.abc import Iterator
from typing import Any

from tests.invariants.checks.indexed import IndexedHistory, Violation, place, same
from tests.invariants.history import Body, Change, Write

OPERATIONS = {"create": "create", "replace": "update", "patch": "update", "delete": "delete"}
SERVER_FIELDS = {"created_at", "updated_at", "revision"}


def acknowledged_writes_are_logged(history: IndexedHistory) -> Iterator[Violation]:
    """The log has an acknowledged write at the revision, and with the body, that was answered."""
    for write in history.writes:
        if write.outcome != "ok":
            continue
        made = history.by_request.get(write.request_id, [])
        if not made:
            detail = f"{_named(write)} was acknowledged as {write.revision}, but is not in the log"
            yield Violation("lost_write", detail)
            continue
        answered = next((change for change in made if change.revision == write.revision), None)
        if answered is None:
            detail = f"{_named(write)} was acknowledged as {write.revision}, but is in the log at {made[0].revision}"
            yield Violation("acknowledged_elsewhere", detail)
        elif not same(answered.after, write.answered):
            detail = f"{_named(write)} was answered {write.answered}, but the log has {answered.after}"
            yield Violation("answer_differs", detail)


def keys_act_once(history: IndexedHistory) -> Iterator[Violation]:
    """The log has at most one entry for one request."""
    for request_id, made in history.by_request.items():
        if len({change.revision for change in made}) > 1:
            revisions = [change.revision for change in made]
            yield Violation("acted_twice", f"request {request_id} acted at the revisions {revisions}")


def keys_are_answered_alike(history: IndexedHistory) -> Iterator[Violation]:
    """All answers under one key are the first one, and only one of them is not called a replay."""
    for key, answers in history.by_key.items():
        acknowledged = [write for write in answers if write.outcome == "ok"]
        if sum(not write.replayed for write in acknowledged) > 1:
            yield Violation("acknowledged_twice", f"key {key} was acknowledged more than once as a first answer")
        for write in acknowledged[1:]:
            first = acknowledged[0]
            if (write.status, write.revision) != (first.status, first.revision):
                detail = f"key {key}: {first.status} at {first.revision}, then {write.status} at {write.revision}"
                yield Violation("replay_differs", detail)
            elif not same(write.answered, first.answered):
                yield Violation("replay_differs", f"key {key}: {first.answered}, then {write.answered}")
        if acknowledged and any(write.outcome == "refused" for write in answers):
            yield Violation("replay_refused", f"key {key} was acknowledged and, another time, refused")


def refused_writes_do_not_act(history: IndexedHistory) -> Iterator[Violation]:
    """A refused write is not in the log.

    If it was tried several times, an earlier try that nobody saw the end of may still act once the last one was
    refused; it may not have acted before that one, which was then a replay and no refusal.
    """
    for write in history.writes:
        if write.outcome != "refused" or any(other.outcome == "ok" for other in history.by_key[write.key]):
            continue
        for change in history.by_request.get(write.request_id, []):
            if write.tried_at <= write.called_at or history.shown_before(write.tried_at) >= change.revision:
                detail = f"{_named(write)} was refused with {write.status}, but acted at {change.revision}"
                yield Violation("refused_acted", detail)


def every_change_was_asked_for(history: IndexedHistory) -> Iterator[Violation]:
    """Each entry of the log is what some write asked for, carried out on the state before it.

    But for the first key, which the system makes itself when it starts on an empty store.
    """
    asked = {write.request_id: write for write in history.writes}
    for change in history.by_revision.values():
        write = asked.get(change.request_id)
        if write is None and (change.revision, change.resource, change.id) == (1, "keys", "key-administrator"):
            continue
        if write is None:
            yield Violation(
                "unasked", f"revision {change.revision} was made by {change.request_id!r}, which is no write"
            )
        elif place(change) != place(write) or change.operation != OPERATIONS[write.operation]:
            detail = f"revision {change.revision} is a {change.operation} of {place(change)}"
            yield Violation("done_otherwise", f"{detail}, but {_named(write)} was asked for")
        elif not _is_result(write, history.before[change.revision], change.after):
            detail = f"revision {change.revision} left {change.after} of {write.sent}"
            yield Violation("done_otherwise", f"{detail}, which {_named(write)} sent")


def _is_result(write: Write, before: Change | None, after: Body) -> bool:
    """Tell whether the write leaves `after`; the server may add fields, with their defaults."""
    if write.operation == "delete" or after is None:
        return write.operation == "delete" and after is None
    expected = write.sent or {}
    if write.operation == "patch":
        expected = merge_patch((before and before.after) or {}, expected)
    return all(same({"": after.get(name)}, {"": expected[name]}) for name in expected.keys() - SERVER_FIELDS)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target after a JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _named(write: Write) -> str:
    return f"{write.writer}'s {write.operation} of {place(write)} ({write.request_id})"
