"""The step before all detection: a value as it is, and fully decoded, in lower-case ASCII."""

import re
from typing import Final, NamedTuple

from sarvanom.security.inspection.decoding import decode
from sarvanom.security.inspection.folding import fold

_DIGITS: Final = b"0123456789"
_comment: Final = re.compile(rb"(?s)/\*.*?\*/")
"""Is searched for up to the last end of a comment, so that every search ends soon."""
_line_comment: Final = re.compile(rb"(?:--|#)[a-z0-9]*+\t")
"""A comment that stands for a space: it holds no more than a word, unlike headings and the comments of programs."""


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
    if b"\t" in text and (b"#" in text or b"--" in text):
        text = _line_comment.sub(b" ", text)
    if b"/*" not in text:
        return text
    head, *executed = text.split(b"/*!")
    text = b" ".join((head, *(part.lstrip(_DIGITS) for part in executed))).replace(b"/**/", b" ")
    end = text.rfind(b"*/") + 2
    text = b" ".join(_comment.split(text[:end])) + text[end:] if end > 1 else text
    return text.replace(b"*/", b" ") if executed else text
