"""Rates and costs: what share of texts is taken for attacks, and how much processor time that takes."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from sarvanom.security.inspection.findings import Mode
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.resources import USERS
from sarvanom.web.inspection import Inspection

_ROUNDS: Final = 5
_VALUE_BYTES: Final = 4096
_USER: Final = {
    "user_id": "ada",
    "username": "Ada Lovelace",
    "email": "ada@example.org",
    "service": "chat",
    "preferences": {"theme": "dark", "language": "en-GB", "greeting": "Hello, Ada! What shall we do?", "size": "12 px"},
    "settings": {
        "system prompt": "You are a helpful assistant. Answer briefly, and say so if you do not know.",
        "timezone": "Europe/London",
        "tags": ["first user", "mathematics & poetry"],
        "note": "It's fine -- don't worry; ask (anything) you like.",
    },
}
"""A body of 13 texts."""


class Rate(NamedTuple):
    """How many of how many texts were taken for attacks."""

    hits: int
    total: int

    @property
    def percent(self) -> float:
        """The share, 0 of no texts."""
        return 100 * self.hits / self.total if self.total else 0.0


def rate(inspector: Inspector, texts: Iterable[str], profile: Profile) -> Rate:
    """Return how many texts are taken for attacks under a profile."""
    hits = total = 0
    for text in texts:
        total += 1
        hits += inspector.inspect(text, profile) is not None
    return Rate(hits, total)


def throughput(inspector: Inspector, texts: Iterable[str], profile: Profile) -> float:
    """Return the megabytes a second that are inspected of texts cut and joined to values of 4 KB."""
    joined = "\n".join(texts)
    values = [
        joined[start : start + _VALUE_BYTES] for start in range(0, min(len(joined), 200 * _VALUE_BYTES), _VALUE_BYTES)
    ]
    size = sum(len(value.encode()) for value in values)

    def inspect_all() -> None:
        for value in values:
            inspector.inspect(value, profile)

    return size / best_seconds(inspect_all) / 1e6


def body_microseconds(inspector: Inspector) -> float:
    """Return what the body of a create costs, its parsing included."""
    inspection = Inspection(inspector, {Profile.STRICT: Mode.BLOCK, Profile.FREE: Mode.DETECT})
    body = json.dumps(_USER).encode()

    def inspect_many() -> None:
        for _ in range(500):
            inspection.check_item(USERS, body)

    return best_seconds(inspect_many) / 500 * 1e6


def first_and_best_milliseconds(inspector: Inspector, text: str, profile: Profile) -> tuple[float, float]:
    """Return what a value costs the first time, when automata are built for it, and later."""
    begun = time.process_time()
    inspector.inspect(text, profile)
    first = time.process_time() - begun
    return first * 1e3, best_seconds(lambda: inspector.inspect(text, profile), rounds=3) * 1e3


def best_seconds(act: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Return the processor time of the fastest of some rounds: what others do on the machine does not count."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        act()
        taken.append(time.process_time() - begun)
    return min(taken)
