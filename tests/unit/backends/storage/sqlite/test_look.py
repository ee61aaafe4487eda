"""A look at a file that hangs: one thread waits, however many give up waiting for it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sarvanom.backends.storage.sqlite.store import SQLiteStore

# Another process, for locks are not against their own. Bytes 120 to 127 are those of the readers and writers
# (sqlite.org/walformat.html, section 2.1); SQLite waits for them for ten seconds, and nothing ends that.
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as memory:
    fcntl.lockf(memory, fcntl.LOCK_EX, 8, 120)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Let everybody wait who wants to read the file."""
    command = [sys.executable, "-c", HOLDER, f"{database}-shm"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def lookouts() -> int:
    return sum(thread.name.startswith("sarvanom-lookout") for thread in threading.enumerate())


async def test_a_file_that_hangs_keeps_one_thread_waiting(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "hung.db")
    try:
        assert (await store.look()).bounds.head == 0
        before = lookouts()
        with held(tmp_path / "hung.db"):
            for _ in range(20):
                looks = [asyncio.create_task(store.look()) for _ in range(50)]
                _, pending = await asyncio.wait(looks, timeout=0.02)
                assert len(pending) == 50, "it hangs, and the event loop does not"
                for look in looks:
                    look.cancel()
                await asyncio.gather(*looks, return_exceptions=True)
            assert lookouts() == before
            assert store._readers._lookout._work_queue.qsize() <= 1, "nothing waits behind what hangs"
        assert (await store.look()).bounds.head == 0
    finally:
        await store.aclose()
