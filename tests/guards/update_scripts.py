"""Writes the SQL that makes a new database, from the migrations: `python -m tests.guards.update_scripts`."""

from typing import Final

from sarvanom.backends.storage.schema import fresh_script, written_script

DIALECTS: Final = ("sqlite", "postgresql")

if __name__ == "__main__":
    for dialect in DIALECTS:
        fresh_script(dialect).write_text(written_script(dialect, None))
