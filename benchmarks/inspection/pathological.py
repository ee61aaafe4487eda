"""Values of 256 KiB that are made to be slow: what repeats, what never ends, what is decoded again and again."""

import random
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

SIZE: Final = 256 * 1024
_REPEATED: Final[Mapping[str, str]] = {
    "select select": "select ",
    "union select": "union select ",
    "quotes and or": "' or ",
    "comparisons": "1 or 1=1 ",
    "quotes": "'",
    "brackets": "(",
    "spaces": " ",
    "open tags": "<a ",
    "less-than signs": "<",
    "tags with lines": "<a\n/",
    "unended comments": "/*",
    "comments": "/*a*/",
    "executed comments": "/*!1*/",
    "percent signs": "%",
    "percent of percent": "%25",
    "percent-encoded": "%3c",
    "overlong characters, cut": "%c0",
    "overlong characters": "%c0%bc",
    "comments to the end of a line": "--\n",
    "ampersands": "&",
    "references": "&#6",
    "references, named": "&lt;",
    "backslashes": "\\",
    "escapes": "\\x3c",
    "spaced letters": "j a v a s c r i p t ",
    "fullwidth": "\uff1c",
    "ligatures": "\ufdfa",
    "marks": "a\u0316\u0301",
    "astral letters": "\U00020000",
}
_SQL: Final = (
    "' ",
    '" ',
    "or ",
    "and ",
    "union ",
    "select ",
    "from ",
    "(",
    "1 ",
    "= ",
    "x ",
    "-- ",
    "; ",
    "/* ",
    "@@ ",
)
_HTML: Final = (
    "<a ",
    "<svg ",
    "on",
    "onload=",
    "href=",
    "javascript:",
    "alert(",
    "'",
    '"',
    ">",
    " x",
    "/",
    "data:",
    "=",
)
_ESCAPES: Final = (
    "%",
    "&",
    "\\",
    "&#6",
    "%2",
    "\\x",
    "%25",
    "&amp;",
    "\\\\",
    "/*",
    "*/",
    "u",
    "3c",
    ";",
    "'",
    "or ",
    "<",
)
_SIGNS: Final = ("%", "&", "%%", "&&", "%c0", "#a\n")
_PRINTABLE: Final = tuple(map(chr, range(0x20, 0x7F)))


def pathological_texts() -> dict[str, str]:
    """Return the values by what they are; they are the same every time."""
    texts = {name: _filled([part]) for name, part in _REPEATED.items()}
    texts["an open tag"] = _filled(["x "], "<a ")
    texts["an open handler"] = _filled(["x "], "<a onload='")
    texts["an open union"] = _filled(["b "], "union select a from ")
    texts["nested percents"] = _filled(["25"], "%")
    texts["nested references"] = _filled(["amp;"], "&")
    for name, parts in (
        ("SQL", _SQL),
        ("HTML", _HTML),
        ("escapes", _ESCAPES),
        ("signs", _SIGNS),
        ("printable", _PRINTABLE),
    ):
        texts[f"random {name}"] = _filled(random.Random(5).choices(parts, k=SIZE))  # noqa: S311 (not for secrets)
    texts["random bytes, percent-encoded"] = quote(random.Random(6).randbytes(SIZE))  # noqa: S311 (nor is this)
    return {name: _cut(text) for name, text in texts.items()}


def _filled(parts: list[str], start: str = "") -> str:
    text = "".join(parts)
    return start + text * (SIZE // len(text.encode()) + 1)


def _cut(text: str) -> str:
    return text.encode()[:SIZE].decode("utf-8", "ignore")
