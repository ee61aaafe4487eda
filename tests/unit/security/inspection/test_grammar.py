"""Libinjection's engine."""

import pytest

from sarvanom.security.inspection.grammar import Grammar
from sarvanom.security.inspection.verdicts import Family


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar()


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (b"7' or '7'='7", Family.SQL_INJECTION),
        (b"ada'--", Family.SQL_INJECTION),
        (b"7 union select sin(7),secret from staff", Family.SQL_INJECTION),
        (b"<script>alert(7)</script>", Family.CROSS_SITE_SCRIPTING),
        (b'" onload=alert(7) x="', Family.CROSS_SITE_SCRIPTING),
    ],
)
def test_an_attack_has_a_family(grammar: Grammar, text: bytes, family: Family) -> None:
    verdict = grammar.judge(text)
    assert verdict is not None
    assert (verdict.family, verdict.rules) == (family, ("libinjection",))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"ada lovelace",
        b"it's (a) name",
        b"50% cotton and 50% linen",
        b"see `the_name` (twice)",
        b"<a href=\"/x\">l'art</a> and d'or",
        b"7,7--",
        b"linen' -silk -wool' --cotton -hemp ;",
        b"seven of 'best' # 8",
    ],
)
def test_what_has_no_evidence_is_honest(grammar: Grammar, text: bytes) -> None:
    assert grammar.judge(text) is None
