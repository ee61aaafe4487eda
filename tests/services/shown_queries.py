"""What the rules and dashboards of `deploy/observability` ask Prometheus."""

from collections.abc import Iterator
from typing import NamedTuple

import yaml

from tests.services.watched_system import RULES


class Query(NamedTuple):
    """An expression, and where it stands."""

    place: str
    expression: str


def rules() -> Iterator[Query]:
    """Yield the expression of each rule, by the name of its record or alert."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield Query(rule.get("record") or rule["alert"], rule["expr"])
