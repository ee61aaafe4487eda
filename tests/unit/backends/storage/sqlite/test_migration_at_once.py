"""Two processes that start at once on one file migrate it once."""

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import closing
from pathlib import Path
from typing import Final

from sarvanom.backends.storage.schema import HEAD
from sarvanom.backends.storage.sqlite.database import APPLICATION_ID
from tests.unit.backends.storage.sqlite.old_files import make_old_file

OPENING: Final = """
import sys, time
from pathlib import Path
from sarvanom.backends.storage.schema import upgrade_script
from sarvanom.backends.storage.sqlite.database import open_writer
upgrade_script("sqlite", None)
upgrade_script("sqlite", "0001")
print("ready", flush=True)
for line in sys.stdin:
    at, file = line.rstrip().split(" ", 1)
    time.sleep(max(0, float(at) - time.time()))
    open_writer(Path(file)).close()
    print("done", flush=True)
"""


async def start_process() -> Process:
    """Start a process that opens the files that it is told of, at the time that it is told."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OPENING, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def open_at(process: Process, file: Path, at: float) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{at} {file}\n".encode())
    return await process.stdout.readline()


def check_migrated(file: Path, entries: int) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM changes").fetchone() == (entries,)


async def test_processes_that_migrate_at_once_migrate_once(tmp_path: Path) -> None:
    processes = await asyncio.gather(start_process(), start_process())
    told = []
    for number in range(20):
        file = tmp_path / f"{number}.db"
        if number % 2:
            make_old_file(file)
        at = time.time() + 0.02
        told += await asyncio.gather(*(open_at(process, file, at) for process in processes))
    errors = [(await process.communicate())[1] for process in processes]
    assert (errors, set(told)) == ([b"", b""], {b"done\n"})
    for number in range(20):
        check_migrated(tmp_path / f"{number}.db", 4 if number % 2 else 0)
