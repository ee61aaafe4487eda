"""Faults of acknowledgements, refusals and idempotency keys."""

import random
from dataclasses import replace

from tests.invariants.history import Head, Logged, Seen, Write
from tests.invariants.planted.events import History, acknowledged, changed, of, pick, without


def lose_acknowledged(history: History, chance: random.Random) -> History:
    """Let a write that was acknowledged, and its replays, leave nothing in the log."""
    write = pick(chance, acknowledged(history))
    logged = next(logged for logged in of(Logged, history) if logged.change.request_id == write.request_id)
    return without(history, logged)


def answer_another_revision(history: History, chance: random.Random) -> History:
    write = pick(chance, acknowledged(history))
    return changed(history, write, replace(write, revision=(write.revision or 0) + 1))


def answer_another_body(history: History, chance: random.Random) -> History:
    write = pick(chance, [write for write in acknowledged(history) if write.answered])
    return changed(history, write, replace(write, answered={**(write.answered or {}), "username": "another"}))


def act_twice(history: History, chance: random.Random) -> History:
    """Append a second change by a request to the log, as if the retry had acted as well."""
    again = pick(chance, of(Logged, history)).change
    head = of(Head, history)[0].revision + 1
    return [
        *(event for event in history if not isinstance(event, Head)),
        Logged(change=replace(again, revision=head)),
        Head(revision=head),
    ]


def acknowledge_twice(history: History, chance: random.Random) -> History:
    """Let a replay be answered as if it were the first."""
    replays = [write for write in acknowledged(history) if write.replayed]
    again = replace(pick(chance, replays), replayed=False)
    return [*history, again, again]


def answer_a_replay_differently(history: History, chance: random.Random) -> History:
    write = pick(chance, acknowledged(history))
    return [*history, replace(write, status=201, replayed=True)]


def answer_a_replay_with_another_body(history: History, chance: random.Random) -> History:
    write = pick(chance, [write for write in acknowledged(history) if write.answered])
    return [*history, replace(write, answered={**(write.answered or {}), "username": "another"}, replayed=True)]


def refuse_a_replay(history: History, chance: random.Random) -> History:
    write = pick(chance, acknowledged(history))
    return [*history, replace(write, outcome="refused", status=409, revision=None, answered=None)]


def let_refused_act(history: History, chance: random.Random) -> History:
    """Call one refused that is in the log."""
    keys = [write.key for write in acknowledged(history)]
    write = pick(chance, [write for write in acknowledged(history) if keys.count(write.key) == 1])
    return changed(history, write, replace(write, outcome="refused", status=412, tried_at=write.called_at))


def let_refused_have_acted(history: History, chance: random.Random) -> History:
    """Refuse the second try of a write whose first had acted, and been shown, before it was called."""
    seen = {seen.change.request_id: seen.seen_at for seen in of(Seen, history)}
    keys = [write.key for write in acknowledged(history)]
    once = [write for write in acknowledged(history) if keys.count(write.key) == 1 and write.request_id in seen]
    write = pick(chance, once)
    at = seen[write.request_id] + 0.1
    return changed(history, write, replace(write, outcome="refused", status=409, tried_at=at, returned_at=at + 1))


def log_what_nobody_asked_for(history: History, chance: random.Random) -> History:
    request_id = pick(chance, of(Logged, history)).change.request_id
    return [event for event in history if not (isinstance(event, Write) and event.request_id == request_id)]


def write_something_else(history: History, chance: random.Random) -> History:
    """Let the log, and all who saw it, have what the writer did not send."""
    logged = {logged.change.request_id for logged in of(Logged, history)}
    whole = [write for write in of(Write, history) if write.operation in {"create", "replace"}]
    chosen = pick(chance, [write for write in whole if write.request_id in logged])
    sent = {**(chosen.sent or {}), "username": "another"}
    return [
        replace(event, sent=sent) if isinstance(event, Write) and event.key == chosen.key else event
        for event in history
    ]
