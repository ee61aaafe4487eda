"""Moving the write-ahead log into the file, beside the writes."""

import threading
from contextlib import suppress
from typing import Final

import apsw
import structlog

from sarvanom.backends.storage.sqlite.database import LOG_PAGES

_FEW_PAGES: Final = 2048
"""So many are moved in some 20 ms, for which writes may wait."""
_MAX_PASSES: Final = 4

_log = structlog.get_logger()


class Checkpointer:
    """Has the log begin anew whenever it has become long, without keeping writes waiting while it is moved.

    It begins anew with a write that finds nothing left in it. A thread moves what is there, then what was written
    meanwhile, until that is little; the writer moves that little, when no write is under way.
    """

    def __init__(self, writer: apsw.Connection) -> None:
        self._writer = writer
        self._written_before = 0
        self._thread: threading.Thread | None = None

    def note_commit(self) -> None:
        """Do what is due after a commit, in the writer's thread."""
        if self._thread is not None:
            if not self._thread.is_alive():
                self._thread = None
                self._written_before = self._written()
                _move(self._writer)
        elif self._written() - self._written_before >= LOG_PAGES:
            file = self._writer.filename
            thread = threading.Thread(target=_move_most, args=(file,), name="sarvanom-checkpoint", daemon=True)
            with suppress(RuntimeError):  # there is no thread to be had now; the next commit tries again
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Wait until the thread has let go of the file."""
        if self._thread is not None:
            self._thread.join()

    def _written(self) -> int:
        """Return how many pages the writer has written to the log so far."""
        pages, _ = self._writer.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        return pages


def _move_most(file: str) -> None:
    """Move the log until little is written to it meanwhile, with a connection for the while."""
    try:
        connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("schema_version")  # until it has read, a connection knows of no log
    except apsw.Error as error:
        _log.warning("log_not_moved", file=file, error=str(error))
        return
    try:
        begin = 0
        for _ in range(_MAX_PASSES):
            end = _move(connection)
            if end - begin <= _FEW_PAGES:
                return
            begin = end
    finally:
        connection.close()


def _move(connection: apsw.Connection) -> int:
    """Move what is in the log and nobody still reads there; return how many pages long it is, 0 if that failed."""
    try:
        pages, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        return 0  # another process is at it
    except apsw.Error as error:
        _log.warning("log_not_moved", file=connection.filename, error=str(error))
        return 0
    return pages
