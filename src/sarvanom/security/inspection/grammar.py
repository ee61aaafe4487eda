"""Libinjection's grammar engine, through two rules of libmodsecurity: is a value a piece of SQL, or HTML that acts?"""

from typing import Final

from libmodsecurity import ModSecurity, RulesSet, Transaction

from sarvanom.security.inspection.patterns import compile_set, match
from sarvanom.security.inspection.verdicts import Family, Verdict
from sarvanom.shared.models.profiles import Profile

_RULES: Final = """
SecRuleEngine On
SecAuditEngine Off
SecRule REQUEST_HEADERS:value "@detectSQLi" "id:1,phase:1,deny,status:451,nolog"
SecRule REQUEST_HEADERS:markup "@detectXSS" "id:2,phase:1,deny,status:452,nolog"
"""
_FAMILIES: Final = {451: Family.SQL_INJECTION, 452: Family.CROSS_SITE_SCRIPTING}
_RULE: Final = ("libinjection",)
# Made for values of a query string, the engine takes `80% acrylic and 20% wool` for SQL, and a link for a quotation.
# It is believed about SQL where the first quote is behind a character of the value, or begins it, and does not quote a
# word; where an operator is behind a quote, and one that prose does not have elsewhere; where a condition or a number
# goes on with an expression; and where a call stands with a keyword or before a comment.
_LOGIC: Final = r"(?:\b(?:x?or|and|not|div|mod|like|in|is|between|having|union|order|group|limit)\b|&&|\|\|)"
_BREAKOUT: Final = r"""^(?:[^"'`]*[^\s"'`(\[{,:=]["'`]|\s*'|\s*["`][\s)])[\s)]*"""
_OPERATOR: Final = r"(?:--|[#=<>;%]|/\*|\|\|)"
_OPERATED: Final = r"""(?:'\)*|"\)+)\s*(?:[=<>|^%~]|[&*/+-]\s*['"0-9(])"""
_WORD: Final = r"\b(?:select|case|union|having)\b"
_MARKUP: Final = 0
_evidence: Final = compile_set(
    [
        r"""[<>"`]""",
        rf"""{_BREAKOUT}(?:[=<>~|^%]|;?\s*(?:--|/\*|#\s*$))""",
        rf"""{_BREAKOUT}{_LOGIC}(?:\s+["'`]|["'`][a-z0-9(]|[^"'`]*(?:[=<>!~@(\\]|--\s*$|;\s*$))""",
        r"'\)*\s*(?:[=<>%]|\|\|)",
        rf"{_OPERATED}.*{_OPERATOR}",
        rf"{_OPERATOR}.*{_OPERATED}",
        rf"""{_LOGIC}[\s(]*(?:[@~!]|[0-9]+[\s)]*(?:[=<>]|--|#)|[a-z_.]+\s*(?:[!=<>]=|[=<>]\s*['"0-9(@]))""",
        r"^[\s(]*[0-9.]+[\s)]*(?:or|and|xor|&&|\|\|)\s*[\s(]*(?:[a-z_]+\(|[~!@`]|[0-9.e]+[\s)]*[=<>])",
        r"[a-z_]\([^()]*\)\s*(?:--|#)\s*$",
        rf"{_WORD}.*[a-z0-9_]\(",
        rf"[a-z0-9_]\(.*{_WORD}",
        r"""\bselect\b[^a-z]*[*(@'"0-9]""",
    ]
)
_tag: Final = compile_set([r"<[/a-z]"])
_MARKUP_SIGNS: Final = (b"<", b"=")
"""Without one of these there is neither a tag nor an attribute with a value, and nothing for the slower rule."""


class Grammar:
    """The engine with its rules; one value is one transaction, and a header for each rule that is to see it."""

    def __init__(self) -> None:
        self._engine = ModSecurity()
        self._rules = RulesSet()
        if self._rules.load(_RULES) < 0:
            raise ValueError(self._rules.get_parser_error())

    def judge(self, text: bytes) -> Verdict | None:
        """Return what normalised text is taken for, if for anything, and if it has something of the kind in it."""
        evidence = match(_evidence, text)
        if not evidence:
            return None
        transaction = Transaction(self._engine, self._rules, "-")
        value = text.decode("ascii")
        transaction.add_request_header("value", value)
        if any(sign in text for sign in _MARKUP_SIGNS):
            transaction.add_request_header("markup", value)
        transaction.process_request_headers()
        intervention = transaction.intervention()
        if intervention is None:
            return None
        family = _FAMILIES[intervention.status]
        if family is Family.SQL_INJECTION and (evidence == [_MARKUP] or match(_tag, text)):
            return None
        return Verdict(family, _RULE, Profile.STRICT)
