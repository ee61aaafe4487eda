"""The history of a run: what writers, readers and watchers were told, and what was stored in the end; JSON lines.

Times are seconds of one monotonic clock: that of the program that made the history. A moment between `called_at` and
`returned_at` is all that is known of when a request took effect.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

type Body = dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the revision log, as `GET /changes` shows it."""

    revision: int
    resource: str
    id: str
    operation: str
    request_id: str
    previous_revision: int | None
    after: Body
    service: str | None = None
    actor: str | None = None
    time: str | None = None
    reverts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What a writer learned of one logical write, or of its replay, which is another event with the same key.

    `called_at` is when it was first tried and `tried_at` when it was last tried; `replayed` is what the answer said.
    """

    writer: str
    key: str
    request_id: str
    operation: Literal["create", "replace", "patch", "delete"]
    resource: str
    id: str
    called_at: float
    tried_at: float
    returned_at: float | None
    outcome: Literal["ok", "refused", "unknown"]
    status: int | None = None
    revision: int | None = None
    replayed: bool = False
    sent: Body = None
    answered: Body = None
    event: Literal["write"] = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """A watcher asks for what comes after a revision, for the first time or again; `only` is its filter."""

    watcher: str
    since: int
    asked_at: float
    only: str | None = None
    event: Literal["watching"] = "watching"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A watcher was sent a change; the events of one watcher stand in the order in which it saw them."""

    watcher: str
    seen_at: float
    change: Change
    event: Literal["seen"] = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A watcher was told, without a change, from which revision it is to resume: nothing up to there concerns it."""

    watcher: str
    revision: int
    event: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A reader asked for one resource; `revision` is None if it was told that there is none."""

    reader: str
    resource: str
    id: str
    called_at: float
    returned_at: float
    revision: int | None
    body: Body = None
    event: Literal["read"] = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An entry of the log as it was read from revision 0 at the end, in the order in which it was read."""

    change: Change
    event: Literal["logged"] = "logged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A resource as a list of its collection showed it at the end."""

    resource: str
    id: str
    body: dict[str, Any]
    event: Literal["row"] = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest revision at the end."""

    revision: int
    event: Literal["head"] = "head"


type Event = Write | Watching | Seen | Moved | Read | Logged | Row | Head

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
_CHANGES = TypeAdapter(Change)


def parse_change(data: bytes) -> Change:
    """Return a change from its JSON; what a change has besides is passed over."""
    return _CHANGES.validate_json(data)


def to_change(item: dict[str, Any]) -> Change:
    """Return a change from an item of the log."""
    return _CHANGES.validate_python(item)


def write_history(path: Path, events: Iterable[Event]) -> None:
    """Write the events, one a line."""
    with path.open("wb") as file:
        file.writelines(_EVENTS.dump_json(event) + b"\n" for event in events)


def read_history(path: Path) -> Iterator[Event]:
    """Read what `write_history` wrote; raises `ValueError` for a line that is no event."""
    with path.open("rb") as file:
        for line in file:
            yield _EVENTS.validate_json(line)
