"""Rules of style that a machine can hold."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_a_module_keeps_the_rules(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 400, "no file has more than 400 lines"
    assert UNFINISHED.findall(text) == []
    assert not text or ast.get_docstring(ast.parse(text)), "a module says what it is for"


def test_files_are_small() -> None:
    lengths = sorted(length for file in SOURCES if (length := len(file.read_text().splitlines())))
    assert lengths[len(lengths) // 2] <= 100
    assert lengths[len(lengths) * 9 // 10] < 300


def test_middleware_is_pure_asgi() -> None:
    """`BaseHTTPMiddleware` costs more than the rest of a request; only the yardstick may use it."""
    places = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    allowed = (ROOT / "benchmarks/plain", ROOT / "benchmarks/systems", Path(__file__))
    using = [file for file in places if "BaseHTTPMiddleware" in file.read_text()]
    assert [file for file in using if not any(file.is_relative_to(place) for place in allowed)] == []


def test_packages_hold_no_code_in_their_init() -> None:
    assert [file for file in SOURCES if file.name == "__init__.py" and file.read_text().strip()] == []


def test_only_the_command_line_and_the_composition_roots_know_settings() -> None:
    importing = [
        file for file in SOURCES if re.search(r"^(from|import) sarvanom\.settings\b", file.read_text(), re.MULTILINE)
    ]
    places = {file.relative_to(ROOT / "src/sarvanom").parts for file in importing}
    assert all(parts[0] == "cli" or (parts[0] == "services" and parts[-1] == "main.py") for parts in places)
