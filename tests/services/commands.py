"""The command line as a person uses it: started in a folder, with settings from wherever, and waited for."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.harness import identity
from tests.harness.system import RunningProcess, answers

SARVANOM = Path(sys.executable).with_name("sarvanom")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings, and with those of identity unless they are empty here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARVANOM_")}
    known = {**identity.SETTINGS, "SARVANOM_API_KEY": identity.ADMIN_KEY}
    kept = {name: value for name, value in settings.items() if value or name not in known}
    return {**inherited, **{name: value for name, value in known.items() if name not in settings}, **kept}


def run(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str] | None = None,
    timeout: float = 30,
    typed: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command that is to end by itself; `typed` is what it reads."""
    return subprocess.run(
        [SARVANOM, *arguments],
        cwd=folder,
        env=environment(settings or {}),
        input=typed or "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def refusal(arguments: Sequence[str], folder: Path, settings: Mapping[str, str], timeout: float = 30) -> str:
    """Run a command that must refuse to start, and return the one line that it says."""
    ran = run(arguments, folder, settings, timeout)
    said = [line for line in ran.stderr.splitlines() if line.strip()]
    assert ran.returncode not in (0, None), ran
    assert "Traceback" not in ran.stderr + ran.stdout
    assert len(said) == 1, ran.stderr
    assert said[0].startswith("Error: ")
    return said[0]


@contextlib.contextmanager
def running(system: RunningProcess) -> Iterator[RunningProcess]:
    """Run `sarvanom up`, and end it and its children whatever the test did to them."""
    system.start(f"{system.gateway_url}/ready")
    pids: set[int] = set(children(system))
    try:
        yield system
    finally:
        pids |= set(children(system))
        system.stop()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children(system: RunningProcess) -> dict[int, str]:
    """Return the living children of a command by pid, each with the name of its service."""
    assert system.process is not None
    listed = Path(f"/proc/{system.process.pid}/task/{system.process.pid}/children")
    found: dict[int, str] = {}
    for pid in map(int, listed.read_text().split()) if listed.exists() else ():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "sarvanom" in arguments:
                found[pid] = arguments[arguments.index("sarvanom") + 1]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def wait_until_ready(system: RunningProcess) -> None:
    wait_until(lambda: answers(f"{system.gateway_url}/ready"), "ready")
