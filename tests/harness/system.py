"""A running system for tests: real processes on free ports, in a folder of their own, stopped by their pids."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import identity
from tests.harness.secrets import MASTER_KEY

START_SECONDS = 30.0
# Limits that no test comes near, unless it sets its own: all that tests ask comes from one address.
WIDE_LIMITS = {
    f"SARVANOM_LIMIT_{name}": str(10**9)
    for name in (
        "READS_PER_MINUTE",
        "WRITES_PER_MINUTE",
        "BULK_PER_MINUTE",
        "AUTH_PER_MINUTE",
        "ANONYMOUS_PER_MINUTE",
        "PROBES_PER_MINUTE",
        "BYTES_PER_MINUTE",
        "CONCURRENT",
        "STREAMS",
    )
}


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningProcess:
    """One `sarvanom` command that a test started."""

    arguments: tuple[str, ...]
    data_dir: Path
    gateway_port: int = field(default_factory=free_port)
    crud_port: int = field(default_factory=free_port)
    settings: Mapping[str, str] = field(default_factory=dict)
    is_given_identity: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def crud_url(self) -> str:
        return f"http://127.0.0.1:{self.crud_port}"

    @property
    def log(self) -> Path:
        return self.data_dir / f"{self.arguments[0]}.log"

    def start(self, ready_url: str) -> None:
        """Start the command and wait until `ready_url` answers 200."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not answers(ready_url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"sarvanom {self.arguments} did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def launch(self) -> None:
        """Start the command."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SARVANOM_")},
            "SARVANOM_DATA_DIR": str(self.data_dir),
            "SARVANOM_GATEWAY_PORT": str(self.gateway_port),
            "SARVANOM_CRUD_PORT": str(self.crud_port),
            "SARVANOM_CRUD_URLS": self.crud_url,
            "SARVANOM_LOG_FORMAT": "json",
            **WIDE_LIMITS,
            **(identity.SETTINGS if self.is_given_identity else {}),
            **self.settings,
        }
        if "SARVANOM_DATABASE_URL" in environment:
            environment.setdefault("SARVANOM_MASTER_KEYS", MASTER_KEY)  # only an embedded database gets one by itself
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sarvanom", *self.arguments],
                env=environment,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def kill(self) -> None:
        """End the process without warning, as `kill -9` does."""
        self.stop(signal.SIGKILL)


def answers(url: str) -> bool:
    """Tell whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def running_system(data_dir: Path, **settings: str) -> Iterator[RunningProcess]:
    """Run `sarvanom up` in the folder."""
    system = RunningProcess(("up",), data_dir, settings=settings)
    try:
        system.start(f"{system.gateway_url}/ready")
        yield system
    finally:
        system.stop()


@contextlib.contextmanager
def running_crud(data_dir: Path, **settings: str) -> Iterator[RunningProcess]:
    """Run crud alone in the folder."""
    crud = RunningProcess(("crud",), data_dir, settings=settings)
    try:
        crud.start(f"{crud.crud_url}/ready")
        yield crud
    finally:
        crud.stop()
