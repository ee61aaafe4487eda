"""Start a system in a folder of its own, wait until it answers, stop what was started."""

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.errors import MeasurementFailed
from benchmarks.processes import Measured, Process, arguments, descendants, observe
from benchmarks.systems.base import Ports, Surroundings, System

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.005

logger = logging.getLogger("benchmarks")

type Started = dict[str, subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Instance:
    """A system that answers."""

    system: System
    port: int
    back_port: int
    """Where what is behind it listens, if anything is."""
    processes: tuple[Measured, ...]
    health_s: float
    """Seconds from start to the first 200 of the health check."""
    answer_s: float
    """Seconds from start to the first 200 of a list."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_us(self) -> dict[str, float]:
        """CPU time so far, by role."""
        total: dict[str, float] = {}
        for process in self.processes:
            total[process.role] = total.get(process.role, 0.0) + process.cpu_us()
        return total

    def pss_mib(self) -> dict[str, float]:
        """Memory now, by role."""
        total: dict[str, float] = {}
        for process in self.processes:
            total[process.role] = total.get(process.role, 0.0) + process.pss_mib()
        return total


@contextmanager
def running(system: System, folder: Path) -> Iterator[Instance]:
    """Run a system for the length of the block, on free loopback ports."""
    folder.mkdir(parents=True)
    system.prepare(folder)
    ports = _free_ports()
    with ExitStack() as stack:
        surroundings = stack.enter_context(system.surroundings(folder))
        begun = time.perf_counter()
        started = _launch(system, folder, ports, surroundings, stack)
        try:
            _await_200(system, system.api.health, ports.front, started)
            health_s = time.perf_counter() - begun
            system.configure(f"http://127.0.0.1:{ports.front}")
            _await_200(system, system.api.listing, ports.front, started)
            answer_s = time.perf_counter() - begun
        except MeasurementFailed as error:
            raise MeasurementFailed(f"{system.name}: {error}{_log_tails(folder)}") from error
        processes = (*_family(system, started), *surroundings.processes)
        missing = set(system.counted) - {process.role for process in processes}
        if missing:
            raise MeasurementFailed(f"{system.name}: no process in the role of {', '.join(sorted(missing))}")
        yield Instance(system, ports.front, ports.back, processes, health_s, answer_s)


def _launch(system: System, folder: Path, ports: Ports, surroundings: Surroundings, stack: ExitStack) -> Started:
    # Settings of the caller's shell must not change what is measured.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARVANOM_")}
    started: Started = {}
    for role, command in system.commands(folder, ports).items():
        log = stack.enter_context((folder / f"{role}.log").open("wb"))
        started[role] = subprocess.Popen(
            command.argv,
            cwd=folder,
            env=inherited | dict(command.environment) | dict(surroundings.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(_stop, started[role])
    return started


def _stop(started: subprocess.Popen[bytes]) -> None:
    below: list[Process] = []
    for pid in descendants(started.pid):
        try:
            below.append(observe("child", pid))
        except MeasurementFailed:
            continue
    started.terminate()
    try:
        started.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        logger.warning("%s ignored SIGTERM and was killed", started.args)
        started.kill()
        started.wait()
    for process in below:
        if process.alive:
            logger.warning("child %d of %s was left behind and was killed", process.pid, started.args)
            os.kill(process.pid, signal.SIGKILL)


def _family(system: System, started: Started) -> Iterator[Process]:
    for role, parent in started.items():
        yield observe(role, parent.pid)
        for pid in descendants(parent.pid):
            yield observe(system.role_of(arguments(pid)) or role, pid)


def _await_200(system: System, path: str, port: int, started: Started) -> None:
    last = "no answer"
    deadline = time.perf_counter() + START_TIMEOUT_S
    while time.perf_counter() < deadline:
        for role, process in started.items():
            if process.poll() is not None:
                raise MeasurementFailed(f"{role} ended with {process.returncode} before it answered")
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers=dict(system.api.headers))
            answer = connection.getresponse()
            if answer.status == 200:
                return
            last = f"{answer.status} {answer.read(500)!r}"
        except (OSError, HTTPException) as error:
            last = repr(error)
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise MeasurementFailed(f"GET {path} did not answer 200 within {START_TIMEOUT_S:.0f} s; last: {last}")


def _free_ports() -> Ports:
    with socket.socket() as front, socket.socket() as back:
        front.bind(("127.0.0.1", 0))
        back.bind(("127.0.0.1", 0))
        return Ports(front.getsockname()[1], back.getsockname()[1])


def _log_tails(folder: Path) -> str:
    tails = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-15:]
        tails.append("\n".join((f"\n--- {log.name}", *lines)))
    return "".join(tails)
