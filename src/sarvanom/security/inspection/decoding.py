"""Undoing the encodings that hide an attack from whoever looks at it, and that something behind decodes again.

URL-encoding (also `%u003c`, overlong UTF-8, and `+` for a space), character references of HTML, escapes of JavaScript.
"""

import re
from binascii import a2b_qp
from html.entities import html5
from typing import Final

from sarvanom.security.inspection.folding import fold

ROUNDS: Final = 4
"""How many layers of encoding are undone: nothing that reads its input decodes it more often."""

_MAX_CODE: Final = 0x10FFFF
_MAX_REMEMBERED: Final = 8192
_OVERLONG: Final = {
    bytes([lead, 0x80 | low]): bytes([high | low]) for lead, high in ((0xC0, 0), (0xC1, 0x40)) for low in range(0x40)
}
"""ASCII in two bytes of UTF-8: forbidden, and taken by some decoders."""
_MARKS: Final = (b"\x1f", b"\x1e")
_EQUAL, _APART = _MARKS
_PAIR: Final = b"%" + _APART + b"%"
_END: Final = b"."
_nested: Final = re.compile(rb"%25(?:25)++")
_NAMES: Final = {
    f"&{name.lower()}".encode(): b" " if value.isspace() else value.lower().encode()
    for name, value in html5.items()
    if len(value) == 1 and (value.isascii() or value.isspace())
}
_BACKSLASHED: Final = ((b"\\0", b""), *((b"\\" + kind, b" ") for kind in (b"n", b"r", b"t", b"v", b"f")), (b"\\", b""))
# Every quantifier is possessive, and no branch that fails leaves another to try: the search never steps back.
_escape: Final = re.compile(
    rb"""(?xs)(
        & (?: (?:amp;)++ | \#x[0-9a-f]++;?+ | \#[0-9]++;?+ | [a-z]{2,12}+;?+ )
        | \\ (?: x[0-9a-f]{2} | u[0-9a-f]{4} | u\{[0-9a-f]++\} | [0-7]{2,3}+ )
    )"""
)
_overlong: Final = re.compile(rb"([\xc0\xc1][\x80-\xbf])")


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
    return text.replace(b"+", b" ") if b"+" in text and b" " not in text and b"\t" not in text else text


def _decode_layer(text: bytes) -> bytes:
    text = text.replace(b"%u", b"\\u")
    if b"&" in text or b"\\" in text:
        parts = _escape.split(text)
        parts[1::2] = map(_meanings.__getitem__, parts[1::2])
        text = b"".join(parts).lower()
    decoded = _decode_percents(text) if b"%" in text else text
    if b"\xc0" in decoded or b"\xc1" in decoded:
        parts = _overlong.split(decoded)
        parts[1::2] = map(_OVERLONG.__getitem__, parts[1::2])
        decoded = b"".join(parts)
    return fold(decoded.decode("utf-8", "replace"))


def _decode_percents(text: bytes) -> bytes:
    """Return the text with `%xx` undone, by what undoes `=XX` in e-mail: in C, where any number of them cost little.

    What is no escape stays. Meanwhile signs of equality are kept apart, and so are per cent signs in a row.
    """
    for mark in _MARKS:
        text = text.replace(mark, b" ").replace(b"%%%x" % mark[0], b" ")
    text = _nested.sub(b"%25", text) if b"%2525" in text else text
    text = text.replace(b"=", _EQUAL).replace(b"%3d", _EQUAL)
    text = text.replace(b"%%", _PAIR).replace(b"%%", _PAIR).replace(b"%", b"=")
    decoded = a2b_qp(text + _END).removesuffix(_END)
    return decoded.replace(b"=", b"%").replace(_APART, b"").replace(_EQUAL, b"=")


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
