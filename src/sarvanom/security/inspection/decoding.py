"""Undoing the encodings that hide an attack from whoever looks at it, and that something behind decodes again.

URL-encoding (also `%u003c`, overlong UTF-8, and `+` for a space), character references of HTML, escapes of JavaScript.
"""

import re
from html.entities import html5
from typing import Final

from sarvanom.security.inspection.folding import fold

ROUNDS: Final = 4
"""How many layers of encoding are undone: nothing that reads its input decodes it more often."""

_MAX_CODE: Final = 0x10FFFF
_MAX_REMEMBERED: Final = 8192
_OVERLONG: Final = {
    lead: {bytes([0x80 | low]): bytes([high | low]) for low in range(0x40)}
    for lead, high in ((b"\xc0", 0), (b"\xc1", 0x40))
}
"""ASCII in two bytes of UTF-8, by the first and the second: forbidden, and taken by some decoders."""
_NAMES: Final = {
    f"&{name.lower()}".encode(): b" " if value.isspace() else value.lower().encode()
    for name, value in html5.items()
    if len(value) == 1 and (value.isascii() or value.isspace())
}
_BACKSLASHED: Final = ((b"\\0", b""), *((b"\\" + kind, b" ") for kind in (b"n", b"r", b"t", b"v", b"f")), (b"\\", b""))
# Every quantifier is possessive, and no branch that fails leaves another to try: the search never steps back.
_escape: Final = re.compile(
    rb"""(?xs)(
        % (?: (?:25)++ | [0-9a-f]{2} | u[0-9a-f]{4} )
        | & (?: (?:amp;)++ | \#x[0-9a-f]++;?+ | \#[0-9]++;?+ | [a-z]{2,12}+;?+ )
        | \\ (?: x[0-9a-f]{2} | u[0-9a-f]{4} | u\{[0-9a-f]++\} | [0-7]{2,3}+ )
    )"""
)


def decode(folded: bytes) -> bytes:
    """Return folded text with every encoding undone, layer by layer; the same object if there is none."""
    text = _decode_form(folded)
    for _ in range(ROUNDS):
        if not (b"%" in text or b"&" in text or b"\\" in text):
            break
        decoded = _decode_layer(text)
        if decoded == text:
            break
        text = decoded
    text = _decode_form(text)
    if b"\\" in text:
        for written, meant in _BACKSLASHED:
            text = text.replace(written, meant)
    return text


def _decode_form(text: bytes) -> bytes:
    """Return the text with a space for each `+`, unless it has spaces: then it is of no form."""
    return text.replace(b"+", b" ") if b"+" in text and b" " not in text else text


def _decode_layer(text: bytes) -> bytes:
    parts = _escape.split(text)
    parts[1::2] = map(_meanings.__getitem__, parts[1::2])
    decoded = b"".join(parts)
    for lead, characters in _OVERLONG.items():
        head, *pieces = decoded.split(lead)
        decoded = head + b"".join([characters.get(piece[:1], lead + piece[:1]) + piece[1:] for piece in pieces])
    return fold(decoded.decode("utf-8", "replace"))


class _Meanings(dict[bytes, bytes]):
    """What escapes stand for, those that were met before at once."""

    def __missing__(self, escape: bytes) -> bytes:
        meaning = _meaning(escape)
        if len(self) < _MAX_REMEMBERED and len(escape) <= 16:
            self[escape] = meaning
        return meaning


_meanings: Final = _Meanings()


def _meaning(escape: bytes) -> bytes:
    match escape[:1]:
        case b"%" if escape.startswith(b"%25"):
            return b"%"
        case b"%":
            return bytes.fromhex(escape[1:].decode()) if len(escape) == 3 else _character(escape[2:], 16)
        case b"&":
            return _reference(escape)
        case _:
            return _backslashed(escape)


def _reference(escape: bytes) -> bytes:
    """Return what a character reference stands for: browsers take any number of zeros, and some names without `;`."""
    if escape.startswith(b"&amp;"):
        return b"&"
    if escape[1:2] != b"#":
        return _NAMES.get(escape) or _unended(escape)
    digits = escape[2:].rstrip(b";")
    return _character(digits[1:], 16) if digits[:1] == b"x" else _character(digits, 10)


def _unended(escape: bytes) -> bytes:
    for length in (3, 4, 5):
        if (value := _NAMES.get(escape[:length])) is not None:
            return value + escape[length:]
    return escape


def _backslashed(escape: bytes) -> bytes:
    match escape[1:2]:
        case b"x":
            return bytes.fromhex(escape[2:].decode())
        case b"u":
            return _character(escape[2:].strip(b"{}"), 16)
        case _:
            return _character(escape[1:], 8)


def _character(digits: bytes, base: int) -> bytes:
    """Return a character in UTF-8 by its number, and a space if there is none of this number."""
    digits = digits.lstrip(b"0") or b"0"
    code = int(digits, base) if len(digits) <= 8 else _MAX_CODE + 1
    return chr(code).encode("utf-8", "surrogatepass") if code <= _MAX_CODE else b" "
