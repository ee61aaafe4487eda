"""What a gateway states to crud of who asks: signed, short-lived, and good for one request alone.

A statement covers the method, the target, every header that crud reads, and the body. Somebody who captures one can
only repeat the very same request, while its time lasts; a read then tells him what is there now, a watch ends after an
hour, and a write acts once, because the gateway gives every write an Idempotency-Key. A body that is sent while it is
made is not covered (as with AWS Signature Version 4's UNSIGNED-PAYLOAD): its hash is not known when its head is sent.
"""

import hmac
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from sarvanom.security.keyed_hash import KeyedHash
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import Unauthorized

HEADER: Final = b"sarvanom-identity"
PURPOSE: Final = "gateway statement"
"""What the key is derived for."""
WINDOW_MS: Final = 60_000
"""How far the clocks of gateway and crud may be apart, the time on the way included."""
_VERSION: Final = b"1"
_UNBOUND: Final = b"-"
_EMPTY: Final = sha256(b"").digest()
_EMPTY_TEXT: Final = b2a_base64(_EMPTY, newline=False)
COVERED: Final = frozenset(
    {
        b"accept",
        b"content-encoding",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"last-event-id",
        b"sarvanom-line-limit",
        b"x-request-id",
    }
)
"""Every header that crud reads, but for those that frame the body."""

type Headers = Iterable[tuple[bytes, bytes]]


class Statement(NamedTuple):
    """What was stated: who asks, and the SHA-256 of the body, None if it is not covered."""

    principal: Principal
    body_digest: bytes | None


class Statements:
    """Makes statements and verifies them, with a key that gateways and crud share."""

    def __init__(self, key: bytes, *, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._hash = KeyedHash(key)
        self._clock_ms = clock_ms

    def sign(self, principal: Principal, method: str, target: bytes, headers: Headers, body: bytes | None) -> bytes:
        """Return the statement that goes with a request; without a body, that is one that is not covered."""
        digest = _UNBOUND if body is None else b2a_base64(sha256(body).digest(), newline=False) if body else _EMPTY_TEXT
        claims = b"%b.%d.%b.%b" % (_VERSION, self._clock_ms(), _encode_principal(principal), digest)
        return b"%b.%b" % (claims, self._mac(claims, method, target, headers))

    def verify(self, statement: bytes, method: str, target: bytes, headers: Headers) -> Statement:
        """Return what was stated of this request; what is said of the body is for the caller to compare.

        Raises:
            Unauthorized: no gateway stated it, not of this request, or not now.
        """
        claims, _, mac = statement.rpartition(b".")
        parts = claims.split(b".")
        if (
            not hmac.compare_digest(mac, self._mac(claims, method, target, headers))
            or len(parts) != 4
            or parts[0] != _VERSION
        ):
            raise Unauthorized("No gateway with the same internal secret has stated who makes this request")
        _, stated, principal, digest = parts
        skew = int(stated) - self._clock_ms()
        if abs(skew) > WINDOW_MS:
            raise Unauthorized(
                f"The gateway's statement is {abs(skew) // 1000} s {'ahead' if skew > 0 else 'old'}, and at most "
                f"{WINDOW_MS // 1000} s are accepted: the clocks of gateway and crud differ, or it was sent again"
            )
        return Statement(_decode_principal(principal), _decode_digest(digest))

    def _mac(self, claims: bytes, method: str, target: bytes, headers: Headers) -> bytes:
        # No part holds a line break, so that no two requests read alike.
        lines = [claims, method.encode(), target]
        lines += [b"%s:%s" % header for header in headers if header[0] in COVERED]
        return b2a_base64(self._hash.digest(b"\n".join(lines)), newline=False)


@lru_cache(maxsize=4096)
def _encode_principal(principal: Principal) -> bytes:
    services = None if principal.services is None else sorted(principal.services)
    return b2a_base64(orjson.dumps([principal.subject, sorted(principal.scopes), services]), newline=False)


@lru_cache(maxsize=4096)
def _decode_principal(text: bytes) -> Principal:
    """Return the principal that a gateway has stated; that it did so has been verified."""
    subject, scopes, services = orjson.loads(a2b_base64(text))
    return Principal(subject, frozenset(scopes), None if services is None else frozenset(services))


def _decode_digest(text: bytes) -> bytes | None:
    if text == _EMPTY_TEXT:
        return _EMPTY
    return None if text == _UNBOUND else a2b_base64(text)
