"""Moving the write-ahead log into the file, beside the writes."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

import apsw
import structlog

from sarvanom.backends.storage.sqlite.database import LOG_PAGES

_FEW_PAGES: Final = 2048
"""So many are moved in some 20 ms, for which writes may wait."""
_MAX_PASSES: Final = 4
_SECONDS_BETWEEN_TRIES: Final = 0.1

_log = structlog.get_logger()


class _Pass(NamedTuple):
    """What became of moving a log: how many pages long it was, and how many of them are in the file now."""

    pages: int
    moved: int


class Checkpointer:
    """Has the log begin anew whenever it has become long, without keeping writes waiting while it is moved.

    It begins anew with a write that finds nothing left in it, and nobody reading it. A thread moves what is there, then
    what was written meanwhile, until that is little; the writer moves that little, when no write is under way. As long
    as the log has not begun anew, for somebody reads it or another process is at it, that is tried again soon.
    """

    def __init__(self, writer: apsw.Connection, clock: Callable[[], float] = monotonic) -> None:
        """Take over from SQLite, which would move the log in the commit that makes it long; `clock` tells seconds."""
        writer.wal_autocheckpoint(0)
        self._writer = writer
        self._file = writer.filename  # which the thread could not ask for while the writer is at work
        self._clock = clock
        self._pages_left = 0
        """How many are to be written until the log may be long; it may be from the beginning."""
        self._not_before = clock()
        self._thread: threading.Thread | None = None
        self._last: _Pass | None = None

    def note_commit(self) -> None:
        """Do what is due after a commit, in the writer's thread."""
        written, _ = self._writer.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, reset=True)
        self._pages_left -= written
        if self._thread is None:
            if self._pages_left <= 0 and self._clock() >= self._not_before:
                self._begin()
        elif not self._thread.is_alive():
            self._thread = None
            self._finish(self._last)

    def close(self) -> None:
        """Wait until the thread has let go of the file."""
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        thread = threading.Thread(target=self._checkpoint_most, name="sarvanom-checkpoint", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there is no thread to be had
            self._finish(_checkpoint(self._writer))
        else:
            self._thread = thread

    def _finish(self, last: _Pass | None) -> None:
        """Move what was written during the last pass, if the rest is in the file; see when to begin again."""
        if last is not None and last.pages < LOG_PAGES:
            self._pages_left = LOG_PAGES - last.pages
            return
        self._not_before = self._clock() + _SECONDS_BETWEEN_TRIES
        if last is not None and last.moved == last.pages:
            _checkpoint(self._writer)

    def _checkpoint_most(self) -> None:
        """Move the log until little is written to it meanwhile, with a connection for the while."""
        self._last = None
        try:
            connection = apsw.Connection(self._file, flags=apsw.SQLITE_OPEN_READWRITE)
        except apsw.Error as error:
            _tell(self._file, error)
            return
        try:
            pages_before = 0
            for _ in range(_MAX_PASSES):
                self._last = _checkpoint(connection)
                if self._last is None or self._last.pages - pages_before <= _FEW_PAGES:
                    return
                pages_before = self._last.pages
        finally:
            connection.close()


def _checkpoint(connection: apsw.Connection) -> _Pass | None:
    """Move what is in the log and nobody still reads there; return None if that failed."""
    try:
        connection.pragma("schema_version")  # until it has read, a connection knows of no log
        return _Pass(*connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE))
    except apsw.BusyError:
        return None  # another process is at it
    except apsw.Error as error:
        _tell(connection.filename, error)
        return None


def _tell(file: str, error: apsw.Error) -> None:
    _log.warning("SQLite's log could not be moved into the file", file=file, reason=str(error))
