"""`promtool`, which Prometheus checks metrics, rules and settings with."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROMTOOL = "promtool"
needs_promtool = pytest.mark.skipif(
    shutil.which(PROMTOOL) is None, reason=f"there is no {PROMTOOL}: Debian has it in the package prometheus"
)


def promtool(*arguments: str | Path, stdin: str = "") -> tuple[int, str]:
    """Run it, and return how it ended and what it said."""
    ran = subprocess.run([PROMTOOL, *arguments], input=stdin, capture_output=True, text=True, timeout=300, check=False)
    return ran.returncode, ran.stdout + ran.stderr
