"""Passwords: which may be chosen, and how they are kept and compared (argon2id, RFC 9106)."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from sarvanom.shared.errors import FieldError, ServiceUnavailable, ValidationFailed

MIN_LENGTH: Final = 15
"""What NIST SP 800-63B-4, section 3.1.1.2, asks of a password that is the only factor."""
MAX_LENGTH: Final = 1_024
_MAX_BYTES: Final = 4 * MAX_LENGTH
_MIN_DISTINCT: Final = 5
_MIN_CONTEXT: Final = 4
"""How long a name has to be before a password must not be made of it."""


class Cost(NamedTuple):
    """What one hash costs; OWASP's Password Storage Cheat Sheet names these as enough. `memory` is in KiB."""

    memory: int = 19_456
    time: int = 2
    parallelism: int = 1


class Verification(NamedTuple):
    """Whether the password was right; and its hash by today's cost, if the stored one should be replaced by it."""

    is_right: bool
    new_hash: str | None = None


def normalize_password(password: str) -> bytes:
    """Return the bytes that are hashed: NFKC, so that every keyboard's way to type it is the same, in UTF-8.

    Raises:
        ValueError: it is longer than may be, or no text.
    """
    if len(password) > MAX_LENGTH:
        raise ValueError("too long")
    normal = unicodedata.normalize("NFKC", password).encode()
    if len(normal) > _MAX_BYTES:
        raise ValueError("too long")
    return normal


def check_password(password: str, *, context: Iterable[str] = (), min_length: int = MIN_LENGTH) -> None:
    """Refuse a new password that is too short, too long, or easily guessed by who knows the `context`.

    Raises:
        ValidationFailed: the password breaks a rule; the message does not repeat it.
    """
    try:
        normal = normalize_password(password).decode()
    except ValueError:
        raise _refused(f"Must be text of at most {MAX_LENGTH} characters") from None
    if len(normal) < min_length:
        raise _refused(f"Must have at least {min_length} characters")
    if any(unicodedata.category(character) == "Cc" for character in normal):
        raise _refused("Must not hold control characters")
    if len(set(normal)) < _MIN_DISTINCT:
        raise _refused(f"Must have at least {_MIN_DISTINCT} different characters")
    folded = normal.casefold()
    for word in context:
        name = unicodedata.normalize("NFKC", word).casefold()
        if len(name) >= _MIN_CONTEXT and not folded.replace(name, "").strip("0123456789 !-_."):
            raise _refused("Must not be made of a name that is known to others")


class Passwords:
    """Hashes and compares in threads of its own; `concurrency` of them bound the memory, `waiting` the queue."""

    def __init__(self, *, cost: Cost = Cost(), concurrency: int = 2, waiting: int = 64) -> None:  # noqa: B008 (a value)
        self._hasher = PasswordHash(
            [Argon2Hasher(time_cost=cost.time, memory_cost=cost.memory, parallelism=cost.parallelism)]
        )
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="passwords")
        self._free = concurrency + waiting
        self._nobodys_hash = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """Return the text to store, with salt and cost in it (PHC string format).

        Raises:
            ValueError: `check_password` would have refused it.
            ServiceUnavailable: too many are waiting.
        """
        return await self._run(self._hasher.hash, normalize_password(password))

    async def verify(self, password: str, stored: str | None) -> Verification:
        """Compare a password with a stored hash, or with nobody's if there is no such user, which takes as long.

        Raises:
            ServiceUnavailable: too many are waiting.
        """
        try:
            given = normalize_password(password)
        except ValueError:
            return Verification(is_right=False)
        return await self._run(self._verify, given, stored)

    def close(self) -> None:
        """End the threads once they are done; what waits is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password: bytes, stored: str | None) -> Verification:
        try:
            if stored is not None:
                return Verification(*self._hasher.verify_and_update(password, stored))
        except UnknownHashError:
            pass
        self._hasher.verify(password, self._nobodys_hash)
        return Verification(is_right=False)

    async def _run[**P, T](self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._free <= 0:
            raise ServiceUnavailable("Too many passwords are being checked")
        self._free -= 1
        try:
            return await asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))
        finally:
            self._free += 1


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed("The password cannot be used", errors=[FieldError("password", message)])
