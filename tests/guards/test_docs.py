"""Every setting and every error code is documented, truly, and nothing else is."""

import re
from pathlib import Path

import pytest

from sarvanom.settings import PREFIX, CrudSettings, GatewaySettings, ProcessSettings, UpSettings
from sarvanom.shared.errors import SarvanOMError

DOCS = Path(__file__).parents[2] / "docs"
OF_CLIENTS = {"SARVANOM_URL", "SARVANOM_API_KEY"}


def rows(page: str) -> list[list[str]]:
    """Return the cells of all rows of the tables on a page that begin with a name in code."""
    lines = (DOCS / page).read_text().splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| `")]
    return [[row[0].strip("`"), *row[1:]] for row in cells]


SETTINGS = sorted(set(UpSettings.model_fields) | set(GatewaySettings.model_fields) | set(CrudSettings.model_fields))


def test_every_process_has_its_settings_among_those_that_are_documented() -> None:
    assert set(ProcessSettings.model_fields) <= set(SETTINGS)
    assert len(SETTINGS) > 15


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_documented_with_its_default(name: str) -> None:
    documented = {row[0]: row[1] for row in rows("settings.md")}
    assert f"{PREFIX}{name.upper()}" in documented
    default = UpSettings.model_fields[name].default
    cell = documented[f"{PREFIX}{name.upper()}"]
    if default is not None:
        assert str(default).removesuffix(".0") in cell.replace(",", "").strip("`").split()


def test_no_setting_is_documented_that_is_not_there() -> None:
    documented = {row[0] for row in rows("settings.md")}
    assert documented == {f"{PREFIX}{name.upper()}" for name in SETTINGS} | OF_CLIENTS


LIMITED = ["bulk", "reads", "writes", "auth", "anonymous", "probes", "concurrent", "streams"]


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_documented_with_its_default(name: str) -> None:
    fields = GatewaySettings.model_fields
    setting = fields.get(f"limit_{name}_per_minute") or fields[f"limit_{name}"]
    said = re.findall(rf"\| {name}, ([0-9,]+) (?=\|)", (DOCS / "limits.md").read_text())
    assert said
    assert set(said) == {f"{setting.default:,}"}


def test_every_limit_is_in_the_table() -> None:
    named = {name.removesuffix("_per_minute") for name in GatewaySettings.model_fields if name.startswith("limit_")}
    assert named == {f"limit_{name}" for name in [*LIMITED, "bytes"]}


ERRORS = {code: error for code, error in SarvanOMError.by_code.items() if error.__module__.startswith("sarvanom.")}
"""Tests have errors of their own."""


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_is_documented_with_its_status(code: str) -> None:
    documented = {row[0]: row[1] for row in rows("errors.md")}
    assert documented.get(code) == str(ERRORS[code].status)


def test_no_error_is_documented_that_is_not_there() -> None:
    assert [row[0] for row in rows("errors.md")] == list(dict.fromkeys(row[0] for row in rows("errors.md")))
    assert {row[0] for row in rows("errors.md")} == set(ERRORS)


def test_every_class_of_error_has_a_code_of_its_own() -> None:
    classes = SarvanOMError.__subclasses__()
    assert len({error.code for error in classes}) == len(classes)
    for error in classes:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code)
        assert 400 <= error.status < 600
        assert error.__doc__


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*DOCS.rglob("*.md"), *(DOCS.parent / "deploy").rglob("*.md")]
    pages += [DOCS.parent / "README.md", DOCS.parent / "SECURITY.md"]
    broken = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_tests_that_the_threat_model_names_are_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (DOCS.parent / "SECURITY.md").read_text())
    assert len(named) > 20
    assert [path for path in named if not (DOCS.parent / path).exists()] == []
