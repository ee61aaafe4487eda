"""How the Python systems beside the project are served."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def serve(application: str, port: int) -> tuple[str, ...]:
    """Return the command that serves an ASGI application on loopback, without uvicorn's own access log."""
    options = ("--app-dir", str(ROOT), "--port", str(port), "--loop", "uvloop", "--http", "httptools")
    return (sys.executable, "-m", "uvicorn", application, *options, "--no-access-log")
