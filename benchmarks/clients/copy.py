"""Copy what an import stored into a new file by SQLite alone: `python -m benchmarks.clients.copy SOURCE TARGET`.

The same rows in the same order, with the same indexes, log entries and durability, a group of lines to a transaction,
but read into memory before, and with no JSON, HTTP and decisions: what the disk and SQLite allow. Prints the seconds.
"""

import sys
import time
from itertools import batched
from pathlib import Path

import apsw

from sarvanom.backends.storage.sqlite.database import open_writer
from sarvanom.services.crud.bulk_lines import GROUP_LINES

TABLES = ("models", "changes")


def copy(source: Path, target: Path) -> float:
    """Return how long storing took."""
    reader = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    columns = {table: [row[1] for row in reader.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    rows = {table: reader.execute(f"SELECT * FROM {table} ORDER BY revision").fetchall() for table in TABLES}  # noqa: S608
    insert = {table: f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns[table]))})" for table in TABLES}  # noqa: S608
    writer = open_writer(target)
    begun = time.perf_counter()
    for models, changes in zip(*(batched(rows[table], GROUP_LINES, strict=False) for table in TABLES), strict=True):
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany(insert["models"], models)
        writer.executemany(insert["changes"], changes)
        writer.execute("COMMIT")
    taken = time.perf_counter() - begun
    writer.close()
    return taken


if __name__ == "__main__":
    print(copy(Path(sys.argv[1]), Path(sys.argv[2])))
