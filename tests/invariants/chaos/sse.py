"""Server-sent events, from bytes to frames."""

from typing import NamedTuple


class Frame(NamedTuple):
    """One event; `id` is "" if it has none, and without data it is no event, but its id counts."""

    id: str
    event: str
    data: bytes


class FrameReader:
    """Takes pieces of a stream and gives the frames that are whole."""

    def __init__(self) -> None:
        self._comments = 0
        self._rest = b""
        self._lines: list[bytes] = []

    def feed(self, piece: bytes) -> list[Frame]:
        """Return the frames that the piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        frames = []
        for line in lines:
            stripped = line.rstrip(b"\r")
            if stripped.startswith(b":"):
                self._comments += 1
            elif stripped:
                self._lines.append(stripped)
            elif self._lines:
                frames.append(self._frame())
        return frames

    def take_comments(self) -> int:
        """Return how many comments, which are heartbeats, came since the last call."""
        comments, self._comments = self._comments, 0
        return comments

    def _frame(self) -> Frame:
        fields: dict[bytes, list[bytes]] = {}
        for line in self._lines:
            name, _, value = line.partition(b":")
            fields.setdefault(name, []).append(value.removeprefix(b" "))
        self._lines = []
        last_id, event = (fields.get(name, [b""])[-1].decode() for name in (b"id", b"event"))
        return Frame(last_id, event or "message", b"\n".join(fields.get(b"data", [])))
