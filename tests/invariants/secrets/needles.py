"""Secrets that are easy to find wherever they are, and the search for them."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4


def forms(text: str) -> list[bytes]:
    """Return a text as it is, in hex, and in base64 at each offset that it may have, without uncertain ends."""
    raw = text.encode()
    shifted = [b64encode(b"\0" * offset + raw)[(0, 2, 3)[offset] :].rstrip(b"=")[:-1] for offset in range(3)]
    urlsafe = [one.replace(b"+", b"-").replace(b"/", b"_") for one in shifted]
    return list(dict.fromkeys([raw, raw.hex().encode(), raw.hex().upper().encode(), *shifted, *urlsafe]))


@dataclass
class Planted:
    """Distinct secrets, each with a marker of this run in its midst, and where it was last put."""

    marker: str = field(default_factory=lambda: f"mRk{uuid4().hex[:13]}")
    count: int = 0

    def secret(self) -> str:
        """Return another secret."""
        self.count += 1
        return f"sk-{self.count:05}-{self.marker}-{uuid4().hex}"

    @property
    def _needles(self) -> list[bytes]:
        return forms(self.marker)

    def found_in(self, text: bytes) -> list[str]:
        """Return what is about each place where a secret stands, in whatever form."""
        return [repr(text[max(0, at - 60) : at + 60]) for needle in self._needles if (at := text.find(needle)) >= 0]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file that a folder holds."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path
