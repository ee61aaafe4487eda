"""The keys that an outside issuer publishes (RFC 7517), as far as they can prove anything here."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from sarvanom.security.jose import PublicKey, parse_object

_MAX_KEYS: Final = 64
_MIN_RSA_BITS: Final = 2_048
_MAX_RSA_BITS: Final = 8_192
_MAX_EXPONENT_BITS: Final = 64
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""The algorithms that an issuer may be allowed, each with the one kind of key and curve that it goes with."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key, and the algorithm it is meant for, if its owner says so."""

    key_id: str
    key: PublicKey
    kind: tuple[str, str | None]
    algorithm: str | None

    def fits(self, key_id: str, algorithm: str) -> bool:
        """Tell whether a token may be proven with the key; a key of another kind proves nothing."""
        return self.key_id == key_id and ALGORITHMS.get(algorithm) == self.kind and self.algorithm in (None, algorithm)


def read_jwk_set(document: bytes) -> Sequence[IssuerKey]:
    """Return the keys that are for signatures; those of unknown kinds and those that are malformed are passed over.

    Raises:
        ValueError: the document is no JWK Set.
    """
    keys = parse_object(document).get("keys")
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise ValueError("no JWK Set")
    read = (_read_key(key) for key in keys if isinstance(key, dict))
    return [key for key in read if key is not None]


def _read_key(jwk: dict[str, Any]) -> IssuerKey | None:
    key_id, type_, algorithm = jwk.get("kid"), jwk.get("kty"), jwk.get("alg")
    members = _PUBLIC_MEMBERS.get(type_) if isinstance(type_, str) else None
    if members is None or not isinstance(key_id, str) or not isinstance(algorithm, str | None):
        return None
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key, curve = _import({"kty": type_, **{name: jwk[name] for name in members}})
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return IssuerKey(key_id, key, (str(type_), curve), algorithm)


def _import(jwk: dict[str, Any]) -> tuple[PublicKey, str | None]:
    """Return the key and its curve, if it is on one."""
    if jwk["kty"] == "RSA":
        if not _MIN_RSA_BITS <= _bits(jwk["n"]) <= _MAX_RSA_BITS or _bits(jwk["e"]) > _MAX_EXPONENT_BITS:
            raise ValueError("too weak, or too dear")
        return RSAKey.import_key(jwk), None
    curve: PublicKey = ECKey.import_key(jwk) if jwk["kty"] == "EC" else OKPKey.import_key(jwk)
    return curve, jwk["crv"]


def _bits(number: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(number + "==")).bit_length()
