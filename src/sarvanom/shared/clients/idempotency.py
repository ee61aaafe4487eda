"""Keys by which a service recognises a request that is sent again."""

import os
import secrets
from itertools import count
from typing import Final

WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods of requests that have a key."""


class KeySequence:
    """Makes idempotency keys: unique anywhere, and in one sequence each sorts after those made before it.

    A key is a random 64-bit prefix, the sequence's own, and a number: 29 characters of `[0-9a-f-]`.
    """

    __slots__ = ("_numbers", "_prefix", "_process")

    def __init__(self) -> None:
        self._begin()

    def next(self) -> str:
        """Return a key that was never returned before, also not by the parent of a process that was forked."""
        if os.getpid() != self._process:
            self._begin()
        return f"{self._prefix}-{next(self._numbers):012x}"

    def _begin(self) -> None:
        self._process = os.getpid()
        self._prefix = secrets.token_hex(8)
        self._numbers = count()
