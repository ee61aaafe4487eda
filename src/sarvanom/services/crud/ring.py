"""The newest changes, rendered once for all who watch."""

from collections import deque
from typing import Final, NamedTuple

from sarvanom.backends.storage.log import Change
from sarvanom.services.crud.rendering import frame_for, is_moved, render_frame
from sarvanom.shared.changes import ChangeQuery

MAX_CHANGES: Final = 4_096
MAX_BYTES: Final = 16 * 2**20
BATCH_BYTES: Final = 2**18
"""How much a watcher holds while it is sent, but for one change that is larger."""
_BATCH: Final = 500


class _Entry(NamedTuple):
    """A change and the frame that tells of it; the body is kept only where a service sees another frame."""

    change: Change
    frame: bytes

    @property
    def size(self) -> int:
        return len(self.frame) + len(self.change.body or b"")


class Ring:
    """All changes after `begin` up to `end`, at most so many and so many bytes of them."""

    def __init__(self, max_changes: int = MAX_CHANGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self.begin = 0
        self.end = 0

    def restart(self, position: int) -> None:
        """Hold nothing, and go on after a position."""
        self._entries.clear()
        self._bytes = 0
        self.begin = self.end = position

    def extend(self, changes: list[Change], until: int) -> None:
        """Take all changes that come after `end`, up to `until`, and let the oldest go.

        Behind a gap the ring begins anew: a position would no longer tell its place.
        """
        for change in changes:
            if change.revision != self.begin + len(self._entries) + 1:
                self.restart(change.revision - 1)
            kept = change if change.left_service is not None else change._replace(body=None)
            entry = _Entry(kept, render_frame(change))
            self._entries.append(entry)
            self._bytes += entry.size
        self.end = until
        while self._entries and (len(self._entries) > self._max_changes or self._bytes > self._max_bytes):
            oldest = self._entries.popleft()
            self._bytes -= oldest.size
            self.begin = oldest.change.revision

    def read(self, query: ChangeQuery, position: int) -> tuple[list[bytes], int]:
        """Return frames that match after a position that is not before `begin`, and the position behind them.

        Revisions have no gaps, so that a position tells its place. Behind the last change it is `end`.
        """
        frames: list[bytes] = []
        size = 0
        first = position - self.begin
        for index in range(first, min(len(self._entries), first + _BATCH)):
            change, frame = self._entries[index]
            position = change.revision
            if query.matches(change.collection, change.id, change.service, change.left_service):
                frames.append(frame_for(change, query.services) if is_moved(change, query.services) else frame)
                size += len(frame)
                if size >= BATCH_BYTES:
                    return frames, position
        if first + _BATCH < len(self._entries):
            return frames, position
        return frames, max(position, self.end)
