"""One PostgreSQL for a whole test run, whatever the number of its workers."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.postgres import PostgresDatabases, running_postgres


@contextlib.contextmanager
def shared_postgres(run: Path) -> Iterator[PostgresDatabases]:
    """Use the server of the test run whose folder this is; the first to come starts it, the last to leave ends it.

    Each user holds a shared lock, which the system takes back however the user ends. The server's process waits for the
    exclusive one.
    """
    url, owner = run / "postgres.url", None
    with (run / "postgres.users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (run / "postgres.start").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not url.exists():
                owner = start_owner(run, url)
        yield PostgresDatabases(url.read_text())
    if owner is not None:
        owner.wait()


def start_owner(run: Path, url: Path) -> subprocess.Popen[bytes]:
    """Start the process that owns the shared server, and wait for the server's URL."""
    said = run / "postgres.log"
    with said.open("ab") as log:
        owner = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.postgres_shared", run],
            # Coverage would leave a file of a process that outlives its report.
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not url.exists():
        if owner.poll() is not None:
            raise AssertionError(f"PostgreSQL did not start:\n{said.read_text()}")
        time.sleep(0.01)
    return owner


def own_server(run: Path) -> None:
    """Run the shared server until its last user is gone."""
    url = run / "postgres.url"
    with running_postgres() as server, (run / "postgres.users").open("a") as users:
        draft = url.with_suffix(".draft")
        draft.write_text(server.url)
        draft.rename(url)
        fcntl.flock(users, fcntl.LOCK_EX)
        url.unlink()


if __name__ == "__main__":
    own_server(Path(sys.argv[1]))
