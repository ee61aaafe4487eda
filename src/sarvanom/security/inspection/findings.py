"""What becomes of a value that looks like an attack, and what may be told of it: everything but the value."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from sarvanom.security.inspection.verdicts import Family, Verdict
from sarvanom.shared.models.profiles import Profile


class Mode(StrEnum):
    """What is done about the values of a profile."""

    OFF = "off"
    DETECT = "detect"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """A value that looked like an attack, and what was done; `pointer` says where it stood in the request."""

    family: Family
    rules: tuple[str, ...]
    pointer: str
    profile: Profile
    action: Mode
    sha256: str
    length: int

    @classmethod
    def of(cls, verdict: Verdict, pointer: str, action: Mode, value: str) -> Self:
        """Return what is told of a value; its length is in characters."""
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return cls(verdict.family, verdict.rules, pointer, verdict.profile, action, digest, len(value))
