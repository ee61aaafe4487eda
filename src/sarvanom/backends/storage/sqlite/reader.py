"""Reading: by id on the event loop, lists that may take long in threads, each with a connection of its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from sarvanom.backends.storage.sqlite.database import available, open_reader, translated
from sarvanom.backends.storage.statement_spans import telling
from sarvanom.shared.trace_context import begin_span

_THREADS: Final = 4
_QUERY_SECONDS: Final = 10.0
_STEPS_BETWEEN_CHECKS: Final = 100_000


class Readers:
    """Read-only connections to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inline = open_reader(path)
        self._threads = ThreadPoolExecutor(_THREADS, "sarvanom-reader")
        self._lookout = ThreadPoolExecutor(1, "sarvanom-lookout")
        self._local = threading.local()
        self._opened: list[apsw.Connection] = []
        self._closing = False

    def fetch_one(self, text: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row of a statement that an index answers, in the calling thread."""
        if (span := begin_span()) is not None:
            with telling("sqlite", text, span):
                return self._fetch_one(text, values)
        return self._fetch_one(text, values)

    def _fetch_one(self, text: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._inline.execute(text, values).fetchone()
        except apsw.Error as error:
            raise translated(error) from error
        return row

    def inline[T](self, work: Callable[[apsw.Connection], T]) -> T:
        """Run work whose cost is bounded, in the calling thread."""
        with available():
            return work(self._inline)

    async def in_thread[T](self, work: Callable[[apsw.Connection], T]) -> T:
        """Run work that may take long beside the event loop; after ten seconds it is given up as unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    async def fetch_one_in_thread(self, text: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row for work in the background: a file that hangs does not keep the event loop waiting."""
        return await self.in_thread(lambda connection: connection.execute(text, values).fetchone())

    async def on_lookout(self, work: Callable[[apsw.Connection], Any]) -> Any:
        """Run work in the one thread that is kept free for looking whether the file can be read.

        It is the caller's to wait for its end before the next: nothing ends a thread that the file keeps waiting.
        """
        return await asyncio.get_running_loop().run_in_executor(self._lookout, self._run, work)

    def close(self) -> None:
        """Close all connections; what is under way is given up."""
        self._closing = True
        for connection in self._opened:
            connection.interrupt()
        self._threads.shutdown()
        self._lookout.shutdown()
        for connection in (self._inline, *self._opened):
            connection.close()

    def _run[T](self, work: Callable[[apsw.Connection], T]) -> T:
        with available(), self._bounded() as connection:
            return work(connection)

    @contextmanager
    def _bounded(self) -> Iterator[apsw.Connection]:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self._path)
            self._opened.append(connection)
        deadline = time.monotonic() + _QUERY_SECONDS
        connection.set_progress_handler(lambda: self._closing or time.monotonic() > deadline, _STEPS_BETWEEN_CHECKS)
        yield connection
