"""Made-up histories of a store that keeps every invariant, to plant faults in."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from tests.invariants.checks.indexed import Place
from tests.invariants.checks.writes import OPERATIONS, merge_patch
from tests.invariants.history import Body, Change, Event, Head, Logged, Moved, Read, Row, Seen, Watching, Write

SECONDS = 10.0
PLACES: tuple[Place, ...] = (("users", "a"), ("users", "b"), ("users", "c"), ("settings", "a"), ("settings", "d/e"))

type Operation = Literal["create", "replace", "patch", "delete"]
type Fate = Literal["ok", "refused", "unknown", "acted unknown", "acted refused"]
FATES: tuple[Fate, ...] = ("ok", "refused", "unknown", "acted unknown", "acted refused")


@dataclass
class Store:
    """The state of a correct store, changed at one moment after the other."""

    log: list[Change] = field(default_factory=list)
    committed_at: list[float] = field(default_factory=list)
    rows: dict[Place, dict[str, Any]] = field(default_factory=dict)

    def commit(self, at: float, where: Place, operation: Operation, request_id: str, sent: Body) -> Change:
        """Carry out a write that is valid now, and return its entry of the log."""
        before, revision = self.rows.get(where), len(self.log) + 1
        body: Body = None
        if operation != "delete":
            body = merge_patch(before, sent) if operation == "patch" else dict(sent or {})
            created = before["created_at"] if before else f"at {at}"
            body |= {"created_at": created, "updated_at": f"at {at}", "revision": revision}
            self.rows[where] = body
        else:
            del self.rows[where]
        change = Change(
            revision=revision,
            resource=where[0],
            id=where[1],
            operation=OPERATIONS[operation],
            request_id=request_id,
            previous_revision=before["revision"] if before else None,
            after=body,
            time=f"at {at}",
        )
        self.log.append(change)
        self.committed_at.append(at)
        return change


class Simulation:
    """Writers, readers and watchers of a correct store; everything follows from the seed."""

    def __init__(self, seed: int, *, writes: int, reads: int, watchers: int) -> None:
        self.chance = random.Random(seed)
        self.store = Store()
        self.events: list[Event] = []
        self.moments: list[tuple[float, Callable[[float], None]]] = []
        for number in range(writes):
            self.moments.append((self.chance.uniform(0, SECONDS), partial(self.write, number)))
        for number in range(reads):
            self.moments.append((self.chance.uniform(0, SECONDS), partial(self.read, number)))
        for at, act in sorted(self.moments, key=lambda moment: moment[0]):
            act(at)
        for number in range(watchers):
            self.watch(f"watcher {number}", self.chance.choice([0, 0, self.chance.randint(0, len(self.store.log))]))
        self.end()

    def write(self, number: int, at: float) -> None:
        """Let a write take effect now that was called before; its writer learns of it what its fate says."""
        where = self.chance.choice(PLACES)
        fate = self.chance.choices(FATES, (16, 2, 1, 1, 1))[0]
        valid: tuple[Operation, ...] = ("replace", "patch", "delete") if where in self.store.rows else ("create",)
        operation = self.chance.choice(valid)
        change = None
        sent = self.body(where, number, operation)
        if fate not in {"refused", "unknown"}:
            change = self.store.commit(at, where, operation, f"request {number}", sent)
        called_at = max(0.0, at - self.chance.expovariate(3))
        tried_at = called_at if self.chance.random() < 0.7 else self.chance.uniform(called_at, at)
        returned_at = at + self.chance.expovariate(3)
        if fate == "acted refused":
            # The refused try was over before the one that was given up took effect.
            called_at, tried_at, returned_at = at - 0.3, at - 0.2, at - 0.1
        write = Write(
            writer=f"writer {number % 7}",
            key=f"key {number}",
            request_id=f"request {number}",
            operation=operation,
            resource=where[0],
            id=where[1],
            called_at=called_at,
            tried_at=tried_at,
            returned_at=returned_at,
            outcome="unknown",
            sent=sent,
        )
        self.learn(write, fate, change)

    def learn(self, write: Write, fate: Fate, change: Change | None) -> None:
        """Note what the writer was told, and, now and then, what its replay was told."""
        if fate in {"refused", "acted refused"}:
            self.events.append(replace(write, outcome="refused", status=409))
        elif fate != "ok" or change is None:
            self.events.append(replace(write, returned_at=None))
        else:
            told = replace(write, outcome="ok", status=200, revision=change.revision, answered=change.after)
            told = replace(told, replayed=write.tried_at > write.called_at)
            self.events.append(told)
            if self.chance.random() < 0.2:
                called_at = (write.returned_at or 0) + self.chance.random()
                again = replace(
                    told, called_at=called_at, tried_at=called_at, returned_at=called_at + 0.1, replayed=True
                )
                self.events.append(again)

    def body(self, where: Place, number: int, operation: Operation) -> Body:
        """Return what a write sends; nothing else has its number."""
        if operation == "delete":
            return None
        number_only: dict[str, Any] = {"preferences": {"number": number, "odd": number if number % 2 else None}}
        if operation == "patch":
            return number_only
        name = f"Name {number}"
        return {"id": where[1], "username": name, "email": f"{number}@example.org", **number_only}

    def read(self, number: int, at: float) -> None:
        """Let a read take effect now."""
        where = self.chance.choice(PLACES)
        body = self.store.rows.get(where)
        self.events.append(
            Read(
                reader=f"reader {number % 3}",
                resource=where[0],
                id=where[1],
                called_at=at - self.chance.expovariate(3),
                returned_at=at + self.chance.expovariate(3),
                revision=body["revision"] if body else None,
                body=body,
            )
        )

    def watch(self, watcher: str, since: int) -> None:
        """Watch from a revision to the end, cut off now and then; only one collection, now and then."""
        only = self.chance.choice([None, None, "users"])
        seen_at = self.store.committed_at[since - 1] if since else 0.0
        self.events.append(Watching(watcher=watcher, since=since, asked_at=seen_at, only=only))
        for change, committed_at in zip(self.store.log[since:], self.store.committed_at[since:], strict=True):
            if only in {None, change.resource}:
                seen_at = max(seen_at, committed_at + self.chance.random())
                self.events.append(Seen(watcher=watcher, seen_at=seen_at, change=change))
                since = change.revision
            elif self.chance.random() < 0.5:
                self.events.append(Moved(watcher=watcher, revision=change.revision))
                since = change.revision
            if self.chance.random() < 0.1:
                self.events.append(Watching(watcher=watcher, since=since, asked_at=seen_at, only=only))

    def end(self) -> None:
        """Read the log and the tables."""
        self.events += [Logged(change=change) for change in self.store.log]
        self.events += [Row(resource=name, id=id, body=body) for (name, id), body in self.store.rows.items()]
        self.events.append(Head(revision=len(self.store.log)))


def valid_history(seed: int, *, writes: int = 80, reads: int = 40, watchers: int = 3) -> list[Event]:
    """Return a history that breaks no invariant."""
    return Simulation(seed, writes=writes, reads=reads, watchers=watchers).events
