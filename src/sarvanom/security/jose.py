"""Signed tokens in compact form (RFC 7515, 7519), read strictly: what can be read in two ways is refused.

joserfc checks the signature. What stands here is what RFC 8725 asks of whoever calls such a library.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from sarvanom.shared.errors import Unauthorized

type PublicKey = RSAKey | ECKey | OKPKey

MAX_TOKEN_LENGTH: Final = 8_192
"""The longest token that is looked at, which is what common servers take for a header."""
_MAX_HEADER_LENGTH: Final = 1_024
_FORBIDDEN: Final = frozenset({"b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"})
"""Header parameters that name a key, nest, or change what the rest means. None of them is needed here."""
_is_compact = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+").fullmatch


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that has been read, and of which nothing has been proven."""

    text: str
    algorithm: str
    type: str
    key_id: str
    claims: dict[str, Any]


def invalid_token(detail: str) -> Unauthorized:
    """Return the error for a token that was given and is refused (RFC 6750, section 3.1)."""
    return Unauthorized(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def malformed_token() -> Unauthorized:
    """Return the error for what cannot be read as a token."""
    return invalid_token("The access token is malformed")


def forged_token() -> Unauthorized:
    """Return the error for a token that nobody who is trusted has signed."""
    return invalid_token("The access token's signature is not valid")


def read_token(text: str) -> UnverifiedToken:
    """Take a token apart without believing it.

    Raises:
        Unauthorized: it is too long, no JWS in compact form, not canonical, or says anything twice.
    """
    if len(text) > MAX_TOKEN_LENGTH or not _is_compact(text):
        raise malformed_token()
    header_text, claims_text, signature = text.split(".")
    if len(header_text) > _MAX_HEADER_LENGTH:
        raise malformed_token()
    header = _parse(_decode(header_text))
    claims = _parse(_decode(claims_text))
    _decode(signature)
    algorithm, key_id, type_ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or not isinstance(key_id, str) or not isinstance(type_, str):
        raise malformed_token()
    if not _FORBIDDEN.isdisjoint(header):
        raise malformed_token()
    return UnverifiedToken(text, algorithm, type_, key_id, claims)


def check_signature(token: UnverifiedToken, key: PublicKey, algorithms: Collection[str]) -> None:
    """Prove that the key's owner signed the token, by one of these algorithms.

    Raises:
        Unauthorized: the owner did not.
    """
    if token.algorithm not in algorithms:
        raise forged_token()
    try:
        deserialize_compact(token.text, key, registry=pinned_registry(token.algorithm))
    except (JoseError, ValueError):
        raise forged_token() from None


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object, whose members all have different names; raises `ValueError` if it is none."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 (it is the document that is wrong)
    return value


@cache
def pinned_registry(algorithm: str) -> JWSRegistry:
    """Return what makes joserfc know this algorithm, and no other."""
    return _PinnedRegistry(algorithms=[algorithm], strict_check_header=False)


class _PinnedRegistry(JWSRegistry):
    """What a token calls `EdDSA` is `Ed25519`: of the curves that the name stands for (RFC 9864) no other is used."""

    max_header_length = _MAX_HEADER_LENGTH
    max_payload_length = MAX_TOKEN_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError("The algorithm is not allowed")
        return self.algorithms["Ed25519" if name == "EdDSA" else name]


def _decode(segment: str) -> bytes:
    """Return the bytes of base64url that is the one canonical spelling of them (RFC 7515, appendix C)."""
    try:
        decoded = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise malformed_token() from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode():
        raise malformed_token()
    return decoded


def _parse(text: bytes) -> dict[str, Any]:
    try:
        return parse_object(text)
    except ValueError:
        raise malformed_token() from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)
