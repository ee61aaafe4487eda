"""Secrets that are none: those that documentation and examples are full of."""

import re
from typing import Final

MIN_LENGTH: Final = 32
"""How many characters a secret must have at least."""
_LEAST_DISTINCT: Final = 10
_WORDS: Final = re.compile(
    r"change[-_. ]?(me|this|it)|place[-_. ]?holder|example|insecure|replace[-_. ]?(me|this)|your[-_. ]|dummy"
    r"|password|default|do[-_. ]?not[-_. ]?use|0123456789|abcdefgh|xxxxxx|my[-_. ]?secret|super[-_. ]?secret"
    r"|secret[-_. ]?(key|value|here)",
    re.IGNORECASE,
).search


def is_placeholder(secret: str) -> bool:
    """Tell whether a text was written by hand to be replaced: it says so, or has few different characters."""
    return _WORDS(secret) is not None or len(set(secret)) < _LEAST_DISTINCT
