"""The step before all detection: a value as it is, and fully decoded, in lower-case ASCII."""

from typing import Final, NamedTuple

from sarvanom.security.inspection.decoding import decode
from sarvanom.security.inspection.folding import fold

_DIGITS: Final = b"0123456789"


class Forms(NamedTuple):
    """The forms of one value that are looked at; those that are equal are one object."""

    folded: bytes
    """As it is, but for letters beyond ASCII, case and control characters."""
    decoded: bytes
    """With every encoding undone."""
    bare: bytes
    """Decoded, and without comments of SQL, which databases take for space."""


def normalise(text: str) -> Forms:
    """Return the forms of a value, in time linear to its length."""
    folded = fold(text)
    decoded = decode(folded)
    return Forms(folded, decoded, _strip_comments(decoded))


def _strip_comments(text: bytes) -> bytes:
    """Return the text with each comment as a space; MySQL executes what stands in `/*! */`, so that it stays."""
    if b"/*" not in text:
        return text
    head, *executed = text.split(b"/*!")
    text = b" ".join((head, *(part.lstrip(_DIGITS) for part in executed))).replace(b"/**/", b" ")
    parts: list[bytes] = []
    position = 0
    while (start := text.find(b"/*", position)) >= 0 and (end := text.find(b"*/", start + 2)) >= 0:
        parts += (text[position:start], b" ")
        position = end + 2
    parts.append(text[position:])
    return b"".join(parts).replace(b"*/", b" ") if executed else b"".join(parts)
