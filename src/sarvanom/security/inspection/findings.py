"""What becomes of a value that looks like an attack, and what may be told of it: everything but the value."""

import hashlib
from enum import StrEnum

from sarvanom.security.inspection.verdicts import Verdict
from sarvanom.shared.observations import ContentFound


class Mode(StrEnum):
    """What is done about the values of a profile."""

    OFF = "off"
    DETECT = "detect"
    BLOCK = "block"


def finding_of(verdict: Verdict, pointer: str, action: Mode, value: str) -> ContentFound:
    """Return what is told of a value."""
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return ContentFound(verdict.family, verdict.rules, pointer, verdict.profile, action, digest, len(value))
