"""Text as lower-case ASCII: what looks like a character of an attack becomes it, what is another script does not.

A database or a browser may take a fullwidth character for the ASCII one, so that compatibility forms are resolved: as
NFKC does, but a character at a time, since the order of accents means nothing here and takes quadratic time to bring
about. No keyword has a letter beyond ASCII, so that every other letter becomes one that stands for "some letter".
"""

import re
import unicodedata
from functools import cache
from typing import Final

LINE_END: Final = 0x09
"""What stands for the end of a line, where a comment of SQL may end: a tab, which is white space to a pattern."""

_LETTER: Final = "z"
_TABLE_SIZE: Final = 0x20000
_FEW: Final = 32
"""From how many characters for one beyond ASCII on it takes less time to look up those alone."""
_BEST_FIT: Final = {
    **dict.fromkeys("\u00b4\u02b9\u02bb\u02bc\u02c8\u2018\u2019\u201a\u201b\u2032", "'"),
    **dict.fromkeys("\u02ba\u201c\u201d\u201e\u201f\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2014\u2212", "-"),
    **dict.fromkeys("\u2039\u2329\u27e8\u3008", "<"),
    **dict.fromkeys("\u203a\u232a\u27e9\u3009", ">"),
    **dict.fromkeys("\u2044\u2215", "/"),
    "\u2013": "--",
    "\u2035": "`",
    "\u2217": "*",
    "\u2223": "|",
    "\u2236": ":",
    "\u0131": "i",
}
"""What a conversion to a narrower character set, or somebody's word processor, makes of what NFKC leaves alone."""
_INVISIBLE: Final = ("Mn", "Me", "Cf")
_beyond_ascii: Final = re.compile("[^\0-\x7f]++")
_IN_BYTES: Final = bytes(
    LINE_END if byte == 0x0A else 0x20 if byte < 0x20 or byte == 0x7F else ord(_LETTER) if byte > 0x7F else byte
    for byte in range(256)
).lower()


def fold(text: str) -> bytes:
    """Return the text in lower-case ASCII, control characters as spaces and ends of lines as tabs.

    NUL and what is invisible is left out.
    """
    if not text.isascii():
        text = _fold_foreign(text)
    # A character beyond the table is several bytes, each of which becomes a letter.
    return text.encode("utf-8", "surrogatepass").translate(_IN_BYTES, b"\0")


def _fold_foreign(text: str) -> str:
    table = _table()
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    if foreign * _FEW > len(text):
        return text.translate(table)
    return _beyond_ascii.sub(lambda found: found[0].translate(table), text)


@cache
def _table() -> tuple[str, ...]:
    """Return what becomes of each character, by its number: a table, since `str.translate` is slow with gaps."""
    characters = list(map(chr, range(_TABLE_SIZE)))
    table = list(map(_by_category, map(unicodedata.category, characters)))
    table[:0x80] = characters[:0x80]
    for character, decomposition in zip(characters, map(unicodedata.decomposition, characters), strict=True):
        if decomposition and (composed := unicodedata.normalize("NFKC", character)) != character:
            table[ord(character)] = "".join(
                part if part.isascii() else _by_category(unicodedata.category(part)) for part in composed
            )
    for character in filter(str.isdecimal, characters[0x80:]):
        table[ord(character)] = str(unicodedata.digit(character))
    for character, fit in _BEST_FIT.items():
        table[ord(character)] = fit
    return tuple(table)


@cache
def _by_category(category: str) -> str:
    if category in _INVISIBLE:
        return ""
    return _LETTER if category[0] in "LMN" else " "
