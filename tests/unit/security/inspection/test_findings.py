"""What is told of a finding."""

import hashlib

from sarvanom.security.inspection.findings import Mode, finding_of
from sarvanom.security.inspection.verdicts import Family, Verdict
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.observations import ContentFound

VERDICT = Verdict(Family.SQL_INJECTION, ("union.x",), Profile.STRICT)


def test_a_finding_tells_everything_but_the_value() -> None:
    finding = finding_of(VERDICT, "/username", Mode.BLOCK, "d\u00e9j\u00e0' or 7=7")
    digest = hashlib.sha256("d\u00e9j\u00e0' or 7=7".encode()).hexdigest()
    expected = ContentFound(Family.SQL_INJECTION, ("union.x",), "/username", Profile.STRICT, Mode.BLOCK, digest, 12)
    assert finding == expected
    assert "7=7" not in repr(finding)


def test_a_lone_surrogate_has_a_digest() -> None:
    assert len(finding_of(VERDICT, "", Mode.DETECT, "\ud800").sha256) == 64
