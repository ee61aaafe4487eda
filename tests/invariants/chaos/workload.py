"""What the writers want: which resource to change next, how, and under which condition."""

import random
from dataclasses import dataclass
from typing import Any, Literal

from tests.invariants.checks.indexed import Place
from tests.invariants.history import Body

ID_FIELDS = {"users": "user_id", "models": "model_name", "datasets": "dataset_id", "settings": "setting_key"}
OWN_IDS = 4
SHARED_IDS = 4
CONTESTED_NAMES = 20

type Operation = Literal["create", "replace", "patch", "delete"]
type Kind = Literal["post", "put", "put new", "patch", "delete"]

OPERATIONS: dict[Kind, Operation] = {
    "post": "create",
    "put new": "create",
    "put": "replace",
    "patch": "patch",
    "delete": "delete",
}
KINDS = tuple(OPERATIONS)
WEIGHTS_THERE = (1, 1, 7, 12, 5)
WEIGHTS_ABSENT = (12, 5, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Intent:
    """One logical write, ready to be sent as often as it takes."""

    kind: Kind
    resource: str
    id: str
    sent: Body
    condition: tuple[str, str] | None

    @property
    def operation(self) -> Operation:
        return OPERATIONS[self.kind]

    @property
    def method(self) -> str:
        return self.kind.partition(" ")[0].upper()

    @property
    def path(self) -> str:
        return f"/{self.resource}" if self.kind == "post" else f"/{self.resource}/{self.id}"

    @property
    def expected(self) -> set[int]:
        """The statuses that a correct system may answer with, for certain."""
        match self.kind:
            case "post":
                return {201, 409}
            case "put new":
                return {201, 409, 412}
            case "delete":
                return {204, 404, 412}
            case _:
                return {200, 404, 409, 412}


def places(writer: int) -> list[Place]:
    """Return what a writer writes to: ids of its own, and some that it shares with all."""
    own = [f"own/{writer}.{number}" for number in range(OWN_IDS)]
    shared = [f"shared/{number}" for number in range(SHARED_IDS)]
    return [(resource, id) for resource in ID_FIELDS for id in [*own, *shared]]


class Workload:
    """One writer's choices, from what it believes to be there; with the right belief it is mostly not refused."""

    def __init__(self, writer: int, chance: random.Random) -> None:
        self.writer = writer
        self.chance = chance
        self.places = places(writer)
        self.believed: dict[Place, int] = {}
        self.number = 0

    def next(self) -> Intent:
        """Return the next write; no other has the same content."""
        self.number += 1
        resource, id = where = self.chance.choice(self.places)
        revision = self.believed.get(where)
        kind = self.chance.choices(KINDS, WEIGHTS_ABSENT if revision is None else WEIGHTS_THERE)[0]
        condition = None
        if kind == "put new":
            condition = ("if-none-match", "*")
        elif kind != "post" and revision is not None and self.chance.random() < 0.4:
            condition = ("if-match", f'"{revision}"')
        return Intent(kind, resource, id, self.body(kind, resource, id), condition)

    def learn(self, intent: Intent, status: int | None, revision: int | None) -> None:
        """Believe what an answer tells; None as the status tells nothing."""
        where = (intent.resource, intent.id)
        if status == 404 or (intent.kind == "delete" and status == 204):
            self.believed.pop(where, None)
        elif revision is not None:
            self.believed[where] = revision
        elif status == 409 and intent.kind == "post":
            self.believed.setdefault(where, 1)

    def body(self, kind: Kind, resource: str, id: str) -> Body:
        """Return what is sent; `odd` comes and goes, for the sake of merging."""
        content: dict[str, Any] = {"writer": self.writer, "number": self.number}
        if kind == "delete":
            return None
        if kind == "patch":
            content["odd"] = self.number if self.number % 2 else None
            return self.fields(resource, content, whole=self.chance.random() < 0.3)
        return {ID_FIELDS[resource]: id, **self.fields(resource, content, whole=True)}

    def fields(self, resource: str, content: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        """Return the fields of a body: the content, and the required ones if it is to be `whole`."""
        match resource:
            case "users":
                return {"preferences": content, **(self.names() if whole else {})}
            case "models":
                return {"parameters": content, **({"provider": f"provider {self.number % 5}"} if whole else {})}
            case "datasets":
                return {"metadata": content, **({"name": "Corpus", "size": self.number} if whole else {})}
            case _:
                return {"setting_value": content, **({"category": f"category {self.number % 3}"} if whole else {})}

    def names(self) -> dict[str, str]:
        """Return a user's name and email, which now and then others want too, in another case."""
        username = f"Name {self.writer}.{self.number}"
        email = f"{self.writer}.{self.number}@example.org"
        if self.chance.random() < 0.1:
            username = self.chance.choice([str.upper, str.lower])(f"Wanted {self.chance.randrange(CONTESTED_NAMES)}")
        if self.chance.random() < 0.1:
            email = self.chance.choice(["WANTED", "wanted"]) + f"{self.chance.randrange(CONTESTED_NAMES)}@example.org"
        return {"username": username, "email": email}
