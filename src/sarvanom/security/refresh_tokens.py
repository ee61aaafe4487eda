"""Refresh tokens: each is used once and gives the next; one that is used again ends its family (RFC 9700, 4.14).

A token is proven by the SHA-256 of it that is stored. Its tag, made with the installation's secret, tells a token that
was once valid from one that somebody made up, who must not be able to end a family that is not theirs.
"""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sarvanom.security.derived_keys import derive_key
from sarvanom.security.principals import Principal

PREFIX: Final = "sr-"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FAMILY_BYTES, _FAMILY_LENGTH = 16, 22
_RANDOM_BYTES, _RANDOM_LENGTH = 32, 43
_TAG_BYTES, _TAG_LENGTH = 12, 17
_CHECK_LENGTH: Final = 6
_BODY_LENGTH: Final = _FAMILY_LENGTH + _RANDOM_LENGTH + _TAG_LENGTH
_LENGTH: Final = len(PREFIX) + _BODY_LENGTH + _CHECK_LENGTH


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long refresh tokens live, in seconds: unused, in all, and after use for those whose answer was lost."""

    idle: int = 7 * 86_400
    absolute: int = 30 * 86_400
    grace: int = 10


@dataclass(frozen=True, slots=True)
class RefreshFamily:
    """What is stored of a login: who may refresh, until when, and the digests of the newest two tokens.

    Times are in Unix seconds. `scopes` and `services` are what was granted; they never grow.
    """

    family_id: str
    subject: str
    client_id: str
    scopes: frozenset[str]
    services: frozenset[str] | None
    digest: str
    generation: int
    created_at: float
    rotated_at: float
    idle_expires_at: float
    expires_at: float
    previous_digest: str | None = None
    revoked_at: float | None = None

    @property
    def principal(self) -> Principal:
        """Whom an access token of this family speaks for, if nothing was narrowed."""
        return Principal(self.subject, self.scopes, self.services)

    def revoke(self, now: float) -> "RefreshFamily":
        """Return the family as one that is over, which it stays."""
        return self if self.revoked_at is not None else replace(self, revoked_at=now)


class Started(NamedTuple):
    """A new family to store, and its first token, which is shown once."""

    family: RefreshFamily
    token: str


class Redeemed(NamedTuple):
    """The family to store in place of the one before, if that is still what is stored; and the next token.

    A `repeated` redemption gives what the one before gave, and stores nothing.
    """

    family: RefreshFamily
    token: str
    repeated: bool = False


class Reused(NamedTuple):
    """The token was used before, or by a client that it was not given to: the family to store is revoked."""

    family: RefreshFamily


class Expired(NamedTuple):
    """The family was not used for too long, or is too old."""


class Revoked(NamedTuple):
    """The family was revoked before."""


class Unknown(NamedTuple):
    """The token was never one of this family; nothing follows from it."""


type Redemption = Redeemed | Reused | Expired | Revoked | Unknown


class RefreshTokens:
    """Makes and judges tokens with the installation's secret; keeps nothing."""

    def __init__(self, secret: bytes, lifetimes: Lifetimes = Lifetimes()) -> None:
        self._tag_key = derive_key(secret, "refresh-tokens/tag/v1")
        self._next_key = derive_key(secret, "refresh-tokens/next/v1")
        self._lifetimes = lifetimes

    def start(self, principal: Principal, *, client_id: str, now: float) -> Started:
        """Begin a family, with its first token."""
        family = _encode(secrets.token_bytes(_FAMILY_BYTES), _FAMILY_LENGTH)
        token = self._write(family, secrets.token_bytes(_RANDOM_BYTES))
        record = RefreshFamily(
            family_id=family,
            subject=principal.subject,
            client_id=client_id,
            scopes=principal.scopes,
            services=principal.services,
            digest=digest_of(token),
            generation=1,
            created_at=now,
            rotated_at=now,
            idle_expires_at=now + self._lifetimes.idle,
            expires_at=now + self._lifetimes.absolute,
        )
        return Started(record, token)

    def redeem(self, family: RefreshFamily, presented: str, *, client_id: str, now: float) -> Redemption:
        """Judge a token that is presented, against what is stored under `family_of(presented)`.

        Whoever stores the outcome does so only if `family` is still what is stored, and judges anew otherwise.
        """
        if family_of(presented) != family.family_id:
            return Unknown()
        digest = digest_of(presented)
        is_current = hmac.compare_digest(digest, family.digest)
        if not is_current and not self._has_made(presented):
            return Unknown()
        if family.revoked_at is not None:
            return Revoked()
        if now >= min(family.idle_expires_at, family.expires_at):
            return Expired()
        if client_id != family.client_id:
            return Reused(family.revoke(now))
        successor = self._successor(presented)
        if is_current:
            return Redeemed(self._rotate(family, successor, now), successor)
        is_repeated = hmac.compare_digest(digest, family.previous_digest or "")
        if is_repeated and now < family.rotated_at + self._lifetimes.grace:
            return self._repeat(family, successor, now)
        return Reused(family.revoke(now))

    def knows(self, family: RefreshFamily, presented: str) -> bool:
        """Tell whether a token was ever one of the family, whether it is still good or not."""
        if family_of(presented) != family.family_id:
            return False
        return hmac.compare_digest(digest_of(presented), family.digest) or self._has_made(presented)

    def _rotate(self, family: RefreshFamily, successor: str, now: float) -> RefreshFamily:
        return replace(
            family,
            digest=digest_of(successor),
            previous_digest=family.digest,
            generation=family.generation + 1,
            rotated_at=now,
            idle_expires_at=now + self._lifetimes.idle,
        )

    def _repeat(self, family: RefreshFamily, successor: str, now: float) -> Redemption:
        """Give the same answer again; one made with a secret that has changed meanwhile cannot be."""
        if hmac.compare_digest(digest_of(successor), family.digest):
            return Redeemed(family, successor, repeated=True)
        return Reused(family.revoke(now))

    def _successor(self, token: str) -> str:
        """Return the token after this one: always the same, known only to who has both it and the secret."""
        return self._write(_family_part(token), _mac(self._next_key, token))

    def _write(self, family: str, random: bytes) -> str:
        start = PREFIX + family + _encode(random, _RANDOM_LENGTH)
        body = start + self._tag(start)
        return body + _checksum(body)

    def _has_made(self, token: str) -> bool:
        start = token[: -_TAG_LENGTH - _CHECK_LENGTH]
        tag = token[-_TAG_LENGTH - _CHECK_LENGTH : -_CHECK_LENGTH]
        return hmac.compare_digest(tag, self._tag(start))

    def _tag(self, start: str) -> str:
        return _encode(_mac(self._tag_key, start)[:_TAG_BYTES], _TAG_LENGTH)


def digest_of(token: str) -> str:
    """Return what is stored of a token: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def family_of(token: str) -> str | None:
    """Return the id of the family that a token names, or None if it is no refresh token; proves nothing."""
    if len(token) != _LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return None
    if _checksum(token[:-_CHECK_LENGTH]) != token[-_CHECK_LENGTH:]:
        return None
    return _family_part(token)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _family_part(token: str) -> str:
    return token[len(PREFIX) : len(PREFIX) + _FAMILY_LENGTH]


def _checksum(text: str) -> str:
    return _encode(zlib.crc32(text.encode()).to_bytes(4), _CHECK_LENGTH)


def _encode(number: bytes, length: int) -> str:
    """Return bytes in base 62, which a double click selects as one word, always equally long."""
    rest, digits = int.from_bytes(number), ""
    for _ in range(length):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
