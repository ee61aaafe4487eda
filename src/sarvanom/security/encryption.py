"""Envelope encryption of single values: AES-256-GCM (NIST SP 800-38D) under a key of its own, which a master key wraps.

A sealed value is text: the version of this format, the id of the master key, and in base64url the nonce, the wrapped
key and the ciphertext. What is sealed for one context opens in no other.
"""

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from sarvanom.security.keyed_hash import KeyedHash

KEY_BYTES: Final = 32
_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
_WRAPPED_BYTES: Final = KEY_BYTES + 16
_split: Final = re.compile(rf"{_VERSION}\.([0-9a-f]{{16}})\.([A-Za-z0-9_-]+)").fullmatch


class SealBroken(Exception):
    """A sealed value is not as it was made, or not where it was made for."""


class KeyMissing(Exception):
    """A value was sealed by a master key that is not here; the text is the key's id."""


class MasterKey:
    """A key that wraps the keys of values. It is used only through keys that are derived from it (HKDF, RFC 5869)."""

    __slots__ = ("_digesting", "_wrapping", "id")

    def __init__(self, secret: bytes) -> None:
        """Take 32 random bytes."""
        if len(secret) != KEY_BYTES:
            raise ValueError(f"A master key has {KEY_BYTES} bytes")
        self.id = _derived(secret, "id")[:8].hex()
        self._wrapping = AESGCM(_derived(secret, "wrap"))
        self._digesting = KeyedHash(_derived(secret, "digest"))

    def seal(self, plain: bytes, context: bytes) -> str:
        """Return the sealed value, which is another one each time."""
        # One nonce serves two keys; only the wrapping key meets more than one of them, and they are random.
        nonce, key = secrets.token_bytes(_NONCE_BYTES), secrets.token_bytes(KEY_BYTES)
        wrapped = self._wrapping.encrypt(nonce, key, self._bound(context))
        ciphertext = AESGCM(key).encrypt(nonce, plain, self._bound(context))
        return f"{_VERSION}.{self.id}.{urlsafe_b64encode(nonce + wrapped + ciphertext).decode().rstrip('=')}"

    def open(self, sealed: str, context: bytes) -> bytes:
        """Return what was sealed for this context; raises `SealBroken`."""
        if key_id(sealed) != self.id:
            raise SealBroken
        nonce, wrapped, ciphertext = _parts(sealed)
        try:
            key = self._wrapping.decrypt(nonce, wrapped, self._bound(context))
            return AESGCM(key).decrypt(nonce, ciphertext, self._bound(context))
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def digest(self, text: bytes) -> bytes:
        """Return a digest that only who has the key can make (HMAC-SHA-256)."""
        return self._digesting.digest(text)

    def _bound(self, context: bytes) -> bytes:
        return f"sarvanom {_VERSION} {self.id} ".encode() + context


def key_id(sealed: str) -> str:
    """Return the id of the master key that a value was sealed by; raises `SealBroken`."""
    match = _split(sealed)
    if match is None:
        raise SealBroken
    return match[1]


def _parts(sealed: str) -> tuple[bytes, bytes, bytes]:
    text = sealed.rpartition(".")[2]
    payload = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    # The last character of base64 has bits that mean nothing: there is one way to write a value, and no other.
    if urlsafe_b64encode(payload).decode().rstrip("=") != text or len(payload) < _NONCE_BYTES + _WRAPPED_BYTES:
        raise SealBroken
    end = _NONCE_BYTES + _WRAPPED_BYTES
    return payload[:_NONCE_BYTES], payload[_NONCE_BYTES:end], payload[end:]


def _derived(secret: bytes, purpose: str) -> bytes:
    """Return a key for one purpose; the master key is random already, so that nothing need be extracted first."""
    return HKDFExpand(SHA256(), KEY_BYTES, f"sarvanom {_VERSION} {purpose}".encode()).derive(secret)
