"""What inspection must reach."""

from typing import Final

from sarvanom.security.inspection.verdicts import Family
from sarvanom.shared.models.profiles import Profile

DETECTED: Final = {
    (Family.SQL_INJECTION, Profile.STRICT): 97.0,
    (Family.CROSS_SITE_SCRIPTING, Profile.STRICT): 95.0,
    (Family.SQL_INJECTION, Profile.FREE): 90.0,
    (Family.CROSS_SITE_SCRIPTING, Profile.FREE): 85.0,
}
"""Per cent of attacks, at least."""
FALSE_POSITIVES: Final = {
    ("short", Profile.STRICT): 0.2,
    ("names", Profile.STRICT): 0.2,
    ("descriptions", Profile.FREE): 0.5,
    ("prose", Profile.FREE): 0.5,
    ("code", Profile.FREE): 2.5,
}
"""Per cent of honest texts, at most; other groups have no goal in this profile."""
LANGUAGE: Final = 1.0
"""Per cent of the honest texts of a language, in either profile, at most."""
ENCODED_LOSS: Final = 2.0
"""Percentage points by which an encoded form may be detected less often than the plain one."""
MEGABYTES_PER_SECOND: Final = 10.0
BODY_US: Final = 250.0
PATHOLOGICAL_MS: Final = 50.0
