"""API keys: how they look, how they are made, and what is kept of them.

`sk-sarvanom-`, 43 random characters of base62 and 6 that are a checksum over what stands before them: scanners
recognise a key that leaked, and a mistyped one is refused without asking anybody. What is kept is the SHA-256 of the
whole; with 256 random bits there is nothing to guess, so that a slow hash would protect nothing.
"""

import hmac
import re
import secrets
from hashlib import sha256
from typing import Final, NamedTuple
from zlib import crc32

ANY_PREFIX: Final = "sk-"
PREFIX: Final = "sk-sarvanom-"
KEY_ID_PREFIX: Final = "key-"
"""What the id of every key begins with, and no client calls itself without a key."""
MIN_KEY_LENGTH: Final = 32
MAX_KEY_LENGTH: Final = 256
HINT_LENGTH: Final = len(PREFIX) + 4
"""How much of a key is shown where it is listed."""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6
_ID_LENGTH: Final = 16
_is_ours: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII).fullmatch
_is_any: Final = re.compile(rf"{ANY_PREFIX}[!-~]{{{MIN_KEY_LENGTH - 3},{MAX_KEY_LENGTH - 3}}}", re.ASCII).fullmatch


class NewKey(NamedTuple):
    """A key that was made: the id under which it is kept, and the secret text that its owner gets."""

    id: str
    text: str


def make_key() -> NewKey:
    """Return a random key."""
    return _shape(secrets.token_bytes(64))


def derive_api_key(key: bytes, *purpose: str) -> NewKey:
    """Return the key that follows from a secret of 32 bytes and a purpose; the same again for the same purpose."""
    # Each part stands behind its length, so that no two purposes read alike.
    message = b"".join(len(part).to_bytes(8) + part for part in map(str.encode, purpose))
    return _shape(hmac.digest(key, message, "sha512"))


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a key: ours has the right checksum, one that an operator chose begins with `sk-`."""
    if not text.startswith(PREFIX):
        return _is_any(text) is not None
    return _is_ours(text) is not None and _checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]


def digest_of(text: str) -> str:
    """Return what is kept of a key."""
    return sha256(text.encode()).hexdigest()


def hint_of(text: str) -> str:
    """Return what is shown of a key, by which its owner recognises it."""
    return text[:HINT_LENGTH] if text.startswith(PREFIX) else text[: len(ANY_PREFIX) + 4]


def _shape(random: bytes) -> NewKey:
    """Cut 64 random bytes into a secret and an id that says nothing of it."""
    text = PREFIX + _base62(int.from_bytes(random[:48]), _BODY_LENGTH)
    return NewKey(KEY_ID_PREFIX + _base62(int.from_bytes(random[48:]), _ID_LENGTH), text + _checksum(text))


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    """Return the last `length` digits of a number; much larger numbers make every digit equally likely."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
