"""Master keys as they are written, and the ring of them that seals by the first and opens by all."""

import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from sarvanom.security.encryption import KEY_BYTES, KeyMissing, MasterKey, key_id

_ADVICE: Final = "make one with `sarvanom secrets keygen`"
_LEAST_VARIETY: Final = 16
"""How many different bytes a key has at least; random ones have about 30."""
_URL_SAFE: Final = str.maketrans("+/", "-_")


class BadMasterKeys(ValueError):
    """The master keys cannot be used; the text says where they stand and what would be right, and nothing of them."""


class Keyring:
    """Master keys: the first one seals, all of them open."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self._first = keys[0]
        self._others = tuple(key for key in self._keys.values() if key.id != self._first.id)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, that of the first one first."""
        return tuple(self._keys)

    def seal(self, plain: bytes, context: bytes) -> str:
        """Return a value sealed by the first key."""
        return self._first.seal(plain, context)

    def open(self, sealed: str, context: bytes) -> bytes:
        """Return what was sealed for this context.

        Raises:
            KeyMissing: by another key than these.
            SealBroken: for another context, or not by us.
        """
        id = key_id(sealed)
        if id not in self._keys:
            raise KeyMissing(id)
        return self._keys[id].open(sealed, context)

    def digest(self, text: bytes) -> bytes:
        """Return the text's digest by the first key."""
        return self._first.digest(text)

    def former_digests(self, text: bytes) -> tuple[bytes, ...]:
        """Return the text's digests by the other keys, of which one was the first before."""
        return tuple(key.digest(text) for key in self._others) if self._others else ()


def parse_keyring(text: str, source: str) -> Keyring:
    """Return the keys that a text holds, separated by commas or white space; a line that begins with # is none.

    Raises:
        BadMasterKeys: there is none, or one is not 32 random bytes in base64.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    words = [word for line in lines for word in line.replace(",", " ").split()]
    if not words:
        raise BadMasterKeys(f"{source} holds no master key: {_ADVICE}")
    return Keyring([_parse_key(word, f"{source}: key {number}") for number, word in enumerate(words, 1)])


def new_key() -> str:
    """Return a new master key as it is written."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")


def _parse_key(word: str, place: str) -> MasterKey:
    text = word.rstrip("=").translate(_URL_SAFE)
    try:
        secret = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise BadMasterKeys(f"{place} is not {KEY_BYTES} bytes in base64: {_ADVICE}")
    if len(set(secret)) < _LEAST_VARIETY:
        raise BadMasterKeys(f"{place} is not random: {_ADVICE}")
    return MasterKey(secret)
