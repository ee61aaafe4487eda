"""What may be told of a PromQL expression from its text."""

import re
from collections.abc import Iterator
from typing import Final

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'"
_MATCHERS: Final = rf"\{{(?:{_QUOTED}|[^}}\"'])*\}}"
_TOKEN: Final = re.compile(
    rf"(?P<matchers>{_MATCHERS})|(?P<quoted>{_QUOTED})|(?P<grouping>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))"
    r"|(?P<range>\[[^]]*\])|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<comparison>[=!]=|[<>]=?)(?!\s*bool)|(?P<other>.)",
    re.DOTALL,
)
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "inf", "nan"})


def selectors(expression: str) -> Iterator[str]:
    """Yield each metric that is selected, with its matchers, without its range."""
    tokens = list(_TOKEN.finditer(expression))
    for place, token in enumerate(tokens):
        name = token["name"]
        if name is None or name.lower() in _WORDS or re.match(r"\d", name):
            continue
        rest = expression[token.end() :].lstrip()
        if rest.startswith("(") or re.match(r"(?:by|without)\b", rest):
            continue  # a function or an aggregation
        if place and tokens[place - 1].group()[-1:].isdigit():
            continue  # the unit of a duration
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        yield name + (following["matchers"] or "" if following is not None else "")


def without_filters(expression: str) -> str:
    """Return the expression with comparisons that say 0 or 1, where they would drop what does not hold."""
    return "".join(
        f"{token.group()} bool" if token["comparison"] else token.group() for token in _TOKEN.finditer(expression)
    )
