"""Files as an earlier version made them, and what is in a file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

VERSION_0_1_0 = Path(__file__).parent / "version_0_1_0.sql"
LAST_REVISION = 9


def make_old_file(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(VERSION_0_1_0.read_text())


def change_file(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def contents(file: Path) -> list[Any]:
    """Return everything in a file: its marks, its schema and its rows."""
    with closing(sqlite3.connect(file)) as connection:
        marks = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        return [*marks, *connection.iterdump()]
