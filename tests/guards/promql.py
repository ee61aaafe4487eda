"""What an expression of PromQL names: enough of the language for the rules and dashboards of this project."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
RANGE = re.compile(r"\[[^\]]*\]")
LABELS = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\}|(?![\w:\s]*\())")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
WORDS = {"and", "or", "unless", "bool", "offset"}


class Selector(NamedTuple):
    """A metric, and the labels by which its series are chosen."""

    metric: str
    labels: frozenset[str]


def selectors(expr: str) -> Iterator[Selector]:
    """Yield every selector of an expression; words before a bracket are functions, and none."""
    bare = RANGE.sub("", TEXT.sub('""', expr))
    for metric, matchers in SELECTOR.findall(LABELS.sub("", bare)):
        if metric not in WORDS:
            yield Selector(metric, frozenset(MATCHER.findall(matchers)))


def grouped_labels(expr: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    found = LABELS.findall(RANGE.sub("", TEXT.sub('""', expr)))
    return {label.strip() for labels in found for label in labels.split(",") if label.strip()}
