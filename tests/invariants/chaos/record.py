"""What the driver's parts write down: the history, what happened how often, and what should never happen."""

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.invariants.history import Change, Event, parse_change

now = time.monotonic


@dataclass(frozen=True, slots=True)
class Goal:
    """When a run ends: at a time, but, on a machine that is busy with other things, not before so many writes."""

    ends_at: float
    gives_up_at: float
    writes: int


@dataclass
class Record:
    """The record of one run; `surprises` are answers that a correct system never gives."""

    events: list[Event] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    _parsed: dict[bytes, Change] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Note an event of the history."""
        self.events.append(event)

    def surprise(self, what: str) -> None:
        """Note what a correct system does not do; a run that goes wrong does not flood the memory."""
        self.tally["surprises"] += 1
        if len(self.surprises) < 100:
            self.surprises.append(what)

    def parse(self, data: bytes) -> Change:
        """Return the change; all watchers are sent the same bytes, which are parsed once."""
        change = self._parsed.get(data)
        if change is None:
            change = self._parsed[data] = parse_change(data)
        return change

    def is_enough(self, goal: Goal) -> bool:
        """Tell whether the run may end."""
        return now() >= goal.gives_up_at or (now() >= goal.ends_at and self.tally["writes ok"] >= goal.writes)

    def __str__(self) -> str:
        return ", ".join(f"{what}: {count}" for what, count in sorted(self.tally.items()))
