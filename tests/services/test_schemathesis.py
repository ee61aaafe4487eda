"""The gateway keeps the promises of its own OpenAPI document, as far as schemathesis can find out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.identity import ADMIN_KEY
from tests.harness.system import RunningProcess

ROOT = Path(__file__).parents[2]
TAGS = ("cache", "users", "models", "datasets", "settings", "keys", "accounts", "auth", "changes", "archive", "health")
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@pytest.mark.parametrize("tag", TAGS)
def test_schemathesis_runs_all_its_checks_and_finds_nothing(system: RunningProcess, tmp_path: Path, tag: str) -> None:
    """Excuses stand in `schemathesis_hooks.py`, each with its reason; no check is left out."""
    report = tmp_path / "report.json"
    options = ["--checks=all", f"--phases={','.join(PHASES)}", f"--include-tag={tag}", f"--report-json-path={report}"]
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={ROOT / 'tests/services/schemathesis.toml'}",
            "run",
            f"{system.gateway_url}/openapi.json",
            f"--header=Authorization: Bearer {ADMIN_KEY}",
            *options,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-30_000:] + ran.stderr
    assert summary(report)


def summary(report: Path) -> Any:
    return json.loads(report.read_text())


def test_every_operation_is_of_one_of_the_tags(system: RunningProcess) -> None:
    import httpx2

    document = httpx2.get(f"{system.gateway_url}/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert {tuple(operation["tags"]) for operation in operations} == {(tag,) for tag in TAGS}
