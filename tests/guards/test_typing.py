"""The client's types reach whoever uses it, with both type checkers that people use."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/guards/typed_client.py"


def run(tool: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(tool), *options],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_mypy_sees_the_types_of_the_client() -> None:
    ran = run("mypy", str(FILE))
    assert ran.returncode == 0, ran.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="pyright needs node, which is not on this machine")
def test_pyright_sees_the_types_of_the_client() -> None:
    ran = run("pyright", "--outputjson", f"--pythonpath={sys.executable}", str(FILE))
    report = json.loads(ran.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    assert [found["message"] for found in report["generalDiagnostics"]] == []


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src/sarvanom/py.typed").read_bytes() == b""
