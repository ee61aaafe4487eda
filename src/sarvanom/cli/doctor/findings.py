"""What a check found, and what to do about it."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What a check came to."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It could not be looked at, though it should be."""
    SKIPPED = "skipped"
    """There is nothing to look at, or it is not here."""


class Finding(NamedTuple):
    """The name of a check, what it came to, what was found, and what to do if that is not right."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Return that all is as it should be."""
    return Finding(check, Outcome.OK, found)


def problem(check: str, found: str, advice: str) -> Finding:
    """Return that something is not, and what would help."""
    return Finding(check, Outcome.PROBLEM, found, advice)


def unknown(check: str, found: str, advice: str) -> Finding:
    """Return that it could not be looked at, and what would make that possible."""
    return Finding(check, Outcome.UNKNOWN, found, advice)


def skipped(check: str, found: str) -> Finding:
    """Return why there was nothing to look at."""
    return Finding(check, Outcome.SKIPPED, found)
