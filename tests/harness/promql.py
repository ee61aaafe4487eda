"""What an expression of PromQL names: enough of the language for the rules and dashboards of this project."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
RANGE = re.compile(r"\[[^\]]*\]")
LABELS = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"\{[^}]*\}")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\}|(?![\w:\s]*\())")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
COMPARISON = re.compile(r"[=!]=|[<>]=?")
WORDS = {"and", "or", "unless", "bool", "offset"}


class Selector(NamedTuple):
    """A metric, the labels by which its series are chosen, and both as they stand."""

    metric: str
    labels: frozenset[str]
    text: str


def selectors(expr: str) -> Iterator[Selector]:
    """Yield every selector of an expression; words before a bracket are functions, and none."""
    for found in SELECTOR.finditer(_without(expr, TEXT, RANGE, LABELS)):
        metric, matchers = found.groups()
        if metric not in WORDS:
            end = found.end(1) if matchers is None else found.end()
            yield Selector(metric, frozenset(MATCHER.findall(matchers or "")), expr[found.start() : end])


def grouped_labels(expr: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    found = LABELS.findall(_without(expr, TEXT, RANGE))
    return {label.strip() for labels in found for label in labels.split(",") if label.strip()}


def without_filters(expr: str) -> str:
    """Return the expression with comparisons that say 0 or 1, where its own drop what does not hold."""
    ends = [found.end() for found in COMPARISON.finditer(_without(expr, TEXT, MATCHERS))]
    return " bool".join(expr[begin:end] for begin, end in zip([0, *ends], [*ends, None], strict=True))


def _without(expr: str, *patterns: re.Pattern[str]) -> str:
    """Return the expression with spaces, as many, in place of what matches."""
    for pattern in patterns:
        expr = pattern.sub(lambda found: " " * len(found[0]), expr)
    return expr
