"""The rules and dashboards for Prometheus: what they name is there, and each alert is tried, explained and right."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml

from deploy.observability.dashboards.files import FOLDER, dashboards
from sarvanom.cli.main import cli
from sarvanom.shared.resources import RESOURCES
from tests.guards.test_docs import rows
from tests.harness.promql import Selector, grouped_labels, selectors, without_filters
from tests.harness.promtool import needs_promtool, promtool

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "observability"
RULE_FILES = sorted((HERE / "rules").glob("*.yml"))
CASES = sorted((HERE / "tests").glob("*.yml"))
DASHBOARDS = sorted(FOLDER.glob("*.json"))
ALERTS = re.compile(r'ALERTS\{alertname="(\w+)",alertstate="firing"\}')
OF_PROMETHEUS = {"job", "instance", "exported_instance", "worker"}
"""Labels that every series has, or gets; the last is what Prometheus calls our own `instance`."""


def rules() -> Iterator[dict[str, Any]]:
    for file in RULE_FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


class Case(NamedTuple):
    """What is said of an alert at some time of a test: the labels with which it fires; none if it is silent."""

    alert: str
    firing: list[str]


def cases() -> Iterator[Case]:
    for file in CASES:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for check in test["promql_expr_test"]:
                found = ALERTS.fullmatch(check["expr"])
                assert found is not None, check
                yield Case(found[1], [sample["labels"] for sample in check.get("exp_samples", ())])


@cache
def metrics() -> dict[str, set[str]]:
    """Return the labels of every series that there can be, by its name."""
    known = {"up": set[str](), "ALERTS": {"alertname", "alertstate"}}
    for name, kind, labels, _ in rows("metrics.md"):
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        known |= {name + end: set(re.findall(r"`(\w+)`", labels)) | {"le"} for end in ends}
    return known | {rule["record"]: set() for rule in rules() if "record" in rule}


def unknown(expr: str) -> list[Selector]:
    """Return what an expression selects that is not documented."""
    return [
        one
        for one in selectors(expr)
        if one.metric not in metrics() or not one.labels <= metrics()[one.metric] | OF_PROMETHEUS
    ]


def panel_expressions() -> Iterator[tuple[str, str]]:
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.name}: {panel['title']}", target["expr"]


def queries_of(page: str) -> list[str]:
    """Return the queries that a runbook shows, of which each has a line."""
    return [line for block in re.findall(r"```promql\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]


def test_what_an_expression_selects_is_seen() -> None:
    expr = 'sum by (job, le) (rate(a_total{b=~"x{2}", c!="d"}[5m])) or on () up[1m] and x:y:z > 0 * vector(1)'
    found = [("a_total", {"b", "c"}), ("up", set()), ("x:y:z", set())]
    assert [(one.metric, set(one.labels)) for one in selectors(expr)] == found
    assert grouped_labels(expr) == {"job", "le"}
    assert [one.text for one in selectors(expr)] == ['a_total{b=~"x{2}", c!="d"}', "up", "x:y:z"]
    assert without_filters(expr) == expr.replace("> 0", "> bool 0")
    assert unknown('sarvanom_http_requests_total{code="200"}')
    assert unknown("sarvanom_http_request_total")


def test_rules_select_what_is_documented() -> None:
    assert {rule.get("alert") or rule["record"]: found for rule in rules() if (found := unknown(rule["expr"]))} == {}


def test_dashboards_select_what_is_documented() -> None:
    assert {where: found for where, expr in panel_expressions() if (found := unknown(expr))} == {}


def test_whatever_is_grouped_by_is_a_label() -> None:
    labels = set[str]().union(*metrics().values()) | OF_PROMETHEUS
    for expr in [*(rule["expr"] for rule in rules()), *(expr for _, expr in panel_expressions())]:
        assert grouped_labels(expr) <= labels, expr


def test_requests_for_one_resource_are_those_by_an_id() -> None:
    matchers = {found for rule in rules() for found in re.findall(r'route=~"([^"]*)"', rule["expr"])}
    assert len(matchers) == 1
    (matcher,) = matchers
    assert RESOURCES
    for resource in RESOURCES:
        route = f"/{resource.collection}/{{{resource.id_field}}}"
        assert re.fullmatch(matcher, route), route
        assert not re.fullmatch(matcher, f"/{resource.collection}")
    for other in ("unmatched", "/changes", "/export", "/import", "/keys/{key_id}/rotate", "/auth/token", "/metrics"):
        assert not re.fullmatch(matcher, other)


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for name, alert in alerts().items():
        assert re.fullmatch(r"SarvanOM[A-Za-z]+", name)
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {file.stem: file.read_text() for file in (ROOT / "docs" / "runbooks").glob("*.md")}
    index = pages.pop("README")
    assert set(pages) == set(alerts())
    for name, page in pages.items():
        assert page.startswith(f"# {name}\n")
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["What it means", "How to see it", "What to do"]
        assert f"({name}.md)" in index


def test_runbooks_name_metrics_and_commands_that_are_there() -> None:
    context = click.Context(cli)
    for file in (ROOT / "docs" / "runbooks").glob("*.md"):
        text = file.read_text()
        for query in queries_of(text):
            assert unknown(query) == [], file.name
        for name in re.findall(r"(?<!:)\b(?:sarvanom|process)_[a-z_]+\b", text):
            assert name in metrics() or f"{name}_count" in metrics(), (file.name, name)
        for command in re.findall(r"`sarvanom ([a-z]+)", text):
            assert cli.get_command(context, command), (file.name, command)
        for setting in re.findall(r"\bSARVANOM_[A-Z_]+\b", text):
            assert setting in {row[0] for row in rows("settings.md")}, (file.name, setting)


def test_every_alert_is_tried_where_it_fires_and_where_it_is_silent() -> None:
    tried = list(cases())
    assert {case.alert for case in tried if case.firing} == set(alerts())
    assert {case.alert for case in tried if not case.firing} == set(alerts())


def test_what_an_alert_names_in_its_texts_it_has_when_it_fires() -> None:
    for case in cases():
        named = re.findall(r"\$labels\.(\w+)", str(alerts()[case.alert]["annotations"]))
        for labels in case.firing:
            assert set(named) <= set(re.findall(r'(\w+)="', labels)), case


@needs_promtool
def test_promtool_finds_the_configuration_good(tmp_path: Path) -> None:
    token = tmp_path / "metrics-token"
    token.write_text("token")
    text = (HERE / "prometheus.yml").read_text()
    assert text.count("/etc/prometheus/sarvanom-token") == 2
    copy = tmp_path / "prometheus.yml"
    copy.write_text(text.replace("/etc/prometheus/sarvanom-token", str(token)))
    (tmp_path / "rules").symlink_to(HERE / "rules")
    status, said = promtool("check", "config", copy)
    assert status == 0, said
    assert f"SUCCESS: {len(RULE_FILES)} rule files found" in said


@needs_promtool
@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_promtool_finds_the_rules_good(file: Path) -> None:
    status, said = promtool("check", "rules", "--lint-fatal", file)
    assert status == 0, said


@needs_promtool
def test_promtool_can_read_what_dashboards_and_runbooks_ask(tmp_path: Path) -> None:
    asked = [expr.replace("$__rate_interval", "1m") for _, expr in panel_expressions()]
    asked += [query for file in (ROOT / "docs" / "runbooks").glob("*.md") for query in queries_of(file.read_text())]
    assert len(asked) > 100
    rules = [{"record": f"asked_{number}", "expr": expr} for number, expr in enumerate(asked)]
    file = tmp_path / "asked.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    status, said = promtool("check", "rules", file)
    assert status == 0, said


@needs_promtool
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_are_silent_when_they_should_be(file: Path) -> None:
    status, said = promtool("test", "rules", file)
    assert status == 0, said


def test_dashboards_are_as_the_code_builds_them() -> None:
    """`python -m deploy.observability.dashboards` writes them anew."""
    assert {file.name: file.read_text() for file in DASHBOARDS} == dashboards()


def test_panels_say_what_they_show() -> None:
    for file in DASHBOARDS:
        board = json.loads(file.read_text())
        assert board["uid"] == f"sarvanom-{file.stem}"
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for panel in panels:
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert "Normal: " in panel["description"], panel["title"]
            for target in panel["targets"]:
                assert target["legendFormat"]
                # A trace is in a bucket of the duration of requests, and nowhere else.
                has_traces = "sarvanom_http_request_duration_seconds_bucket" in target["expr"]
                assert target["exemplar"] == has_traces, panel["title"]
