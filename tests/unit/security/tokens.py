"""Tokens put together by hand, however wrong, and the keys to sign them with."""

import base64
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

type Sign = Callable[[bytes], bytes]

SECRET = bytes(range(32))
NOW = 1_800_000_000.0
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def write(header: object, claims: object, sign: Sign) -> str:
    """Return a token of a header and claims, which may be JSON already."""
    text = f"{encode(as_json(header))}.{encode(as_json(claims))}"
    return f"{text}.{encode(sign(text.encode()))}"


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(token.split(".", maxsplit=1)[0]))
    return found


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(token.split(".")[1]))
    return found


def ed25519(key: Ed25519PrivateKey) -> Sign:
    return key.sign


def rs256(key: rsa.RSAPrivateKey) -> Sign:
    return lambda text: key.sign(text, padding.PKCS1v15(), SHA256())


def es256(key: ec.EllipticCurvePrivateKey) -> Sign:
    def sign(text: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign


def unsigned(_: bytes) -> bytes:
    return b"\0" * 64
