"""The ways in which an attack hides: each takes it as it is, and writes it so that somebody decodes it again."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

type Encode = Callable[[str], str]

_FULLWIDTH: Final = 0xFEE0


def _each(template: str) -> Encode:
    return lambda text: "".join(template.format(ord(character)) for character in text)


def _every_byte(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def _quote(text: str) -> str:
    return quote(text, errors="surrogatepass")


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(char) + _FULLWIDTH) if "!" <= char <= "~" else char for char in text)


def _overlong(text: str) -> str:
    return "".join(f"%c0%{0x80 | ord(char):02x}" if ord(char) < 0x40 else _quote(char) for char in text)


def _mixed_case(text: str) -> str:
    return "".join(char.upper() if index % 2 else char.lower() for index, char in enumerate(text))


ENCODINGS: Final[Mapping[str, Encode]] = {
    "plain": lambda text: text,
    "upper case": str.upper,
    "mixed case": _mixed_case,
    "URL": _quote,
    "URL, every byte": _every_byte,
    "URL, twice": lambda text: _quote(_quote(text)),
    "URL, three times": lambda text: _quote(_quote(_quote(text))),
    "form": lambda text: _quote(text).replace("%20", "+"),
    "URL, %uXXXX": _each("%u{:04x}"),
    "URL, overlong UTF-8": _overlong,
    "HTML, decimal": _each("&#{};"),
    "HTML, padded": _each("&#{:07d}"),
    "HTML, hexadecimal": _each("&#x{:X};"),
    "HTML in URL": lambda text: _quote(_each("&#{};")(text)),
    "JavaScript, \\u": _each("\\u{:04x}"),
    "JavaScript, \\x": lambda text: "".join(f"\\x{ord(c):02x}" if ord(c) < 0x100 else c for c in text),
    "JavaScript, \\u{}": _each("\\u{{{:x}}}"),
    "fullwidth": _fullwidth,
    "zero-width spaces": "\u200b".join,
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "line feeds": lambda text: text.replace(" ", "\n"),
    "SQL comments": lambda text: text.replace(" ", "/**/"),
}
