"""Secrets that are none: those that documentation and examples are full of."""

import re
from typing import Final

MIN_LENGTH: Final = 32
"""How many characters a secret must have at least."""
_LEAST_DISTINCT: Final = 8
_WORDS: Final = re.compile(
    r"change[-_. ]?(me|this|it)|place[-_. ]?holder|example|insecure|replace[-_. ]?(me|this)|(?<![a-z])your[-_. ]"
    r"|(?<![a-z])dummy(?![a-z])|password|default|do[-_. ]?not[-_. ]?use|0123456789|abcdefgh|xxxxxx|my[-_. ]?secret"
    r"|super[-_. ]?secret|secret[-_. ]?(key|value|here)",
    re.IGNORECASE,
).search
_REPEATED: Final = re.compile(r"(.{1,12}?)\1{2,}", re.IGNORECASE).finditer


def is_placeholder(secret: str) -> bool:
    """Tell whether a text was written by hand to be replaced.

    It says so, has fewer than 8 different characters, or one short text stands in it three times or more, one after
    another, in half of it. Of 32 random hexadecimal digits, the least that is random enough, few are refused: with 7
    different digits or fewer, C(16,7) (7/16)^32 = 4e-8 of them; with repetitions in half of them, of which at least 11
    digits follow from others, less than 12 * 32 * 16^-11 = 3e-11.
    """
    return _WORDS(secret) is not None or len(set(secret)) < _LEAST_DISTINCT or _is_repeated(secret)


def _is_repeated(secret: str) -> bool:
    return any(2 * len(found[0]) >= len(secret) for found in _REPEATED(secret))
