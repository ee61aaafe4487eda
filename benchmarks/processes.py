"""Processes as Linux reports them in /proc: CPU time, memory, children."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.errors import MeasurementFailed

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")

# Positions in /proc/PID/stat, counted from the field after the command name (proc_pid_stat(5)).
_STATE, _PARENT, _UTIME, _STIME, _CUTIME, _CSTIME, _STARTED = 0, 1, 11, 12, 13, 14, 19


class Measured(Protocol):
    """What costs CPU time and memory."""

    @property
    def role(self) -> str:
        """What it does in its system."""
        ...

    def cpu_us(self) -> float:
        """User and system time so far, in microseconds."""
        ...

    def pss_mib(self) -> float:
        """Proportional set size in MiB."""
        ...


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a system under test; its start time tells it from a later one with the same pid."""

    role: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            fields = _stat(self.pid)
        except MeasurementFailed:
            return False
        return int(fields[_STARTED]) == self.started and fields[_STATE] != "Z"

    def cpu_us(self) -> float:
        """User and system time of all its threads so far, in microseconds."""
        fields = _stat(self.pid)
        if int(fields[_STARTED]) != self.started:
            raise MeasurementFailed(f"{self.role} (pid {self.pid}) ended")
        return (int(fields[_UTIME]) + int(fields[_STIME])) * TICK_US

    def pss_mib(self) -> float:
        """Proportional set size in MiB: a page shared by n processes counts 1/n."""
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        except OSError as error:
            raise MeasurementFailed(f"{self.role} (pid {self.pid}): {error}") from error
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@dataclass(frozen=True, slots=True)
class Tree:
    """A process with all that it starts, also those that come and go: a server with a process for each connection."""

    role: str
    pid: int

    def cpu_us(self) -> float:
        """User and system time of the processes that run, and of those that ended and were waited for."""
        total = 0.0
        for pid in (self.pid, *descendants(self.pid)):
            try:
                fields = _stat(pid)
            except MeasurementFailed:
                if pid == self.pid:
                    raise
                continue  # it ended a moment ago; its parent has its time from now on
            total += sum(int(fields[n]) for n in (_UTIME, _STIME, _CUTIME, _CSTIME)) * TICK_US
        return total

    def pss_mib(self) -> float:
        """Proportional set size in MiB of the processes that run; memory they share counts once."""
        return sum(observe(self.role, pid).pss_mib() for pid in (self.pid, *descendants(self.pid)))


def observe(role: str, pid: int) -> Process:
    """Name a running process."""
    return Process(role, pid, int(_stat(pid)[_STARTED]))


def descendants(pid: int) -> list[int]:
    """Return the pids of the children of a process, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[_PARENT])
            except MeasurementFailed:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def arguments(pid: int) -> list[str]:
    """Return the command line of a process; empty if it has ended."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(argument) for argument in raw.split(b"\0") if argument]


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError as error:
        raise MeasurementFailed(f"process {pid} ended") from error
    return text.rpartition(")")[2].split()
