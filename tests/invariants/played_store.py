"""A played system for the chaos to be tried on: its state, and what it answers; it can be told to go wrong."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.invariants.chaos.record import now
from tests.invariants.chaos.workload import ID_FIELDS
from tests.invariants.checks.indexed import Place
from tests.invariants.checks.replay import UNIQUE
from tests.invariants.checks.writes import merge_patch
from tests.invariants.history import Body, Change
from tests.invariants.made_up import Operation, Store

type Wrong = Literal["forgets keys", "skips changes", "reads stale", "loses writes", "refuses what it did"]

OPERATIONS: dict[str, Operation] = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
STATUSES = {"create": 201, "delete": 204}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def place(self, sent: Body) -> Place:
        """Return what the request is about; the id of a new resource stands in its body."""
        resource, _, id = urlsplit(self.target).path[1:].partition("/")
        return resource, id or (sent or {}).get(ID_FIELDS[resource], "")


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class PlayedStore:
    """The state that all played processes share; `wrong` is what it does not do right, now and then."""

    chance: random.Random
    wrong: Wrong | None = None
    store: Store = field(default_factory=Store)
    keys: dict[str, Answered] = field(default_factory=dict)
    old_rows: dict[Place, dict[str, Any]] = field(default_factory=dict)

    def goes_wrong(self, how: Wrong) -> bool:
        """Tell whether to go wrong in this way now."""
        return self.wrong == how and self.chance.random() < 0.1

    def answer(self, asked: Asked) -> Answered:
        """Return the answer to anything but a watch."""
        if asked.method != "GET":
            return self.write(asked)
        if asked.target.startswith("/changes"):
            return self.changes(int(asked.query["since"]), int(asked.query["limit"]))
        where = asked.place(None)
        if not where[1]:
            rows = [body for (resource, _), body in self.store.rows.items() if resource == where[0]]
            return Answered(200, {"data": {"items": rows}, "metadata": {"next_cursor": None}})
        rows_then = self.old_rows if self.goes_wrong("reads stale") else self.store.rows
        body = rows_then.get(where)
        return Answered(200, {"data": body}) if body else Answered(404, {"code": "not_found"})

    def changes(self, since: int, limit: int) -> Answered:
        """Return a page of the log."""
        page = self.store.log[since : since + limit]
        metadata = {"next_since": since + len(page), "revision": len(self.store.log)}
        return Answered(200, {"data": {"items": [asdict(change) for change in page]}, "metadata": metadata})

    def write(self, asked: Asked) -> Answered:
        """Carry out a write once for its key."""
        key = asked.headers["idempotency-key"]
        first = self.keys.get(key)
        if first is not None and not self.goes_wrong("forgets keys"):
            return Answered(first.status, first.body, {**first.headers, "idempotency-replayed": "true"})
        sent = orjson.loads(asked.body) if asked.body else None
        where = asked.place(sent)
        refused = self.refusal(asked, where, sent)
        if refused:
            return Answered(refused, {"code": "not_found" if refused == 404 else "refused"})
        answered = self.carry_out(asked, where, sent)
        if self.goes_wrong("refuses what it did"):
            return Answered(409, {"code": "refused"})
        self.keys[key] = answered
        return answered

    def refusal(self, asked: Asked, where: Place, sent: Body) -> int | None:
        """Return the status that refuses a write; None if it may be carried out."""
        current = self.store.rows.get(where)
        if asked.method == "POST" and current:
            return 409
        if asked.headers.get("if-none-match") == "*":
            if current:
                return 412
        elif asked.method != "POST" and not current:
            return 404
        if "if-match" in asked.headers and asked.headers["if-match"] != f'"{(current or {}).get("revision")}"':
            return 412
        after = merge_patch(current or {}, sent or {})
        for field_name in UNIQUE.get(where[0], ()):
            wanted = str(after[field_name]).casefold()
            for other, body in self.store.rows.items():
                if other[0] == where[0] and other != where and body[field_name].casefold() == wanted:
                    return 409
        return None

    def carry_out(self, asked: Asked, where: Place, sent: Body) -> Answered:
        """Change the state and return what is answered."""
        operation = OPERATIONS[asked.method]
        if asked.method == "PUT" and where not in self.store.rows:
            operation = "create"
        if self.chance.random() < 0.02:
            self.old_rows = dict(self.store.rows)
        if self.goes_wrong("loses writes"):
            revision = len(self.store.log)
            return Answered(204, None, {"sarvanom-revision": str(revision)})
        change = self.store.commit(now(), where, operation, asked.headers["x-request-id"], sent)
        body = {"data": change.after} if change.after else None
        return Answered(STATUSES.get(operation, 200), body, {"sarvanom-revision": str(change.revision)})

    def watched(self, since: int, only: str | None) -> list[Change]:
        """Return what a watcher is sent next."""
        return [
            change
            for change in self.store.log[since:]
            if only in {None, change.resource} and not self.goes_wrong("skips changes")
        ]
