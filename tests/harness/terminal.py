"""A terminal in which a command runs, as a person sits before it."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_HOME = b"\x1b[H"
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs a command that draws whole screens, each from the upper left corner, and keeps all that it writes."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str],
        rows: int,
        columns: int,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.written = b""
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],  # so that Ctrl-C reaches it
            cwd=folder,
            env={**_without_terminal(environment), "TERM": "xterm-256color", **(variables or {})},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; the kernel tells the command."""
        self.rows, self.columns = rows, columns
        termios.tcsetwinsize(self._ours, (rows, columns))

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def lines(self) -> list[str]:
        """Return the last screen that was drawn to its end at the terminal's size; none if there is none yet."""
        for drawn in reversed(self.written.split(_HOME)[1:]):
            lines = _CONTROL.sub(b"", drawn).decode(errors="replace").split("\r\n")
            if len(lines) == self.rows and len(lines[-1]) >= self.columns:
                return [line.rstrip() for line in lines]
        return []

    def line(self, label: str) -> str:
        """Return the first line of the screen that begins with a label, with single spaces; "" if there is none."""
        return next((" ".join(line.split()) for line in self.lines() if line.startswith(label)), "")

    def text(self) -> str:
        """Return everything that was ever written, without what controls a terminal."""
        return _CONTROL.sub(b"", self.written).decode(errors="replace")

    def close_reading(self) -> None:
        """Return when everything is read of a command that has ended."""
        self._reader.join(10)

    def close(self) -> None:
        """End the command if it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.close_reading()
        os.close(self._ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # which says that nobody has the other end any more
            while chunk := os.read(self._ours, 2**16):
                self.written += chunk


@contextlib.contextmanager
def terminal(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    rows: int = 30,
    columns: int = 110,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """Run a command in a terminal of this size, and end it; `variables` are what a person has set about terminals."""
    running = Terminal(command, folder, environment, rows, columns, variables)
    try:
        yield running
    finally:
        running.close()


def _without_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what the environment of the tests says of another terminal, which pytest-xdist sets."""
    others = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
    return {name: value for name, value in environment.items() if name not in others}
