"""Keys made from the installation's secret, one for each purpose, so that none says anything about another."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_SECRET_LENGTH: Final = 32


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Return 32 bytes for a purpose by HKDF (RFC 5869), which needs no salt where the secret is random.

    Raises:
        ValueError: the secret is too short to be one.
    """
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"the installation's secret must have {MIN_SECRET_LENGTH} random bytes or more")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sarvanom/" + purpose.encode()).derive(secret)
