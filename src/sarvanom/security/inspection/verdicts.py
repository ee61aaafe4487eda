"""What inspection says about a value."""

from dataclasses import dataclass
from enum import StrEnum

from sarvanom.shared.models.profiles import Profile


class Family(StrEnum):
    """A kind of attack."""

    SQL_INJECTION = "sqli"
    CROSS_SITE_SCRIPTING = "xss"


@dataclass(frozen=True, slots=True)
class Verdict:
    """That a value looks like an attack, and by which rules of which profile."""

    family: Family
    rules: tuple[str, ...]
    profile: Profile
