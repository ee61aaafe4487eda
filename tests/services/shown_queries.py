"""What the rules and dashboards of `deploy/observability` ask Prometheus."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

FOLDER: Final = Path(__file__).parents[2] / "deploy/observability"
RULES: Final = sorted((FOLDER / "rules").glob("*.yml"))
DASHBOARDS: Final = sorted((FOLDER / "grafana").glob("*.json"))
RATE_INTERVAL: Final = "1m"
"""What Grafana puts for `$__rate_interval` where it is told of scrapes every 15 seconds: four of them."""


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


def panels() -> Iterator[Query]:
    """Yield the queries of each panel, by dashboard and title, as Grafana sends them."""
    for file in DASHBOARDS:
        for panel in _panels(json.loads(file.read_text())):
            for target in panel.get("targets", ()):
                expression = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
                assert "$" not in expression, expression  # no other variable is known here
                yield Query(f"{file.stem}: {panel['title']} {target['refId']}", expression)


def _panels(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in holder.get("panels", ()):
        yield panel
        yield from _panels(panel)
