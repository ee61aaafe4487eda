"""Idempotency keys: which request one stands for, and that a request is not repeated while it is carried out.

draft-ietf-httpapi-idempotency-key-header: what is done under a key is done once.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sarvanom.backends.storage.contract import IdempotencyKey, Origin
from sarvanom.security.keyring import Keyring
from sarvanom.shared.errors import RequestInProgress
from sarvanom.web.calls import Call
from sarvanom.web.request_headers import CONDITIONS


class Origins:
    """Tells who asks for a write, and under which key.

    A digest of a request is one that only who has the master keys can make: it tells nobody else whether a secret that
    was sent is one that is guessed.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of_call(self, call: Call) -> Origin:
        """Return the origin of a call's write."""
        key = own_key(call)
        known = None if key is None else self._key(key, request_text(call))
        return origin_of(call, known)

    def of_line(self, origin: Origin, key: str, text: bytes) -> Origin:
        """Return an origin as that of one of its many writes, under a key of its own."""
        return Origin(origin.request_id, origin.actor, self._key(key, text))

    def _key(self, key: str, text: bytes) -> IdempotencyKey:
        return IdempotencyKey(key, self._keyring.digest(text), self._keyring.former_digests(text))


def origin_of(call: Call, key: IdempotencyKey | None = None) -> Origin:
    """Return who asks for what a call writes, by default under no key."""
    return Origin(call.request_id, call.principal.subject or None, key)


def own_key(call: Call) -> str | None:
    """Return the call's key as one that is the caller's alone: nobody gets the answer to another's request."""
    return None if call.idempotency_key is None else f"{call.principal.subject}\n{call.idempotency_key}"


def request_text(call: Call) -> bytes:
    """Return what a repeated request has in common with the first: method, target, conditions, body."""
    conditions = [header for header in call.headers or () if header[0] in CONDITIONS]
    head = b"%s %s %s\n" % (call.method.encode(), call.target, repr(conditions).encode() if conditions else b"")
    body_digest = call.body_digest if call.body_digest is not None else hashlib.sha256(call.body).digest()
    return head + body_digest


class CallsInProgress:
    """The idempotency keys of the calls that this process is carrying out."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    @contextmanager
    def entered(self, call: Call) -> Iterator[None]:
        """Hold the call's key; raises `RequestInProgress` if another call has it."""
        key = own_key(call)
        if key is None:
            yield
            return
        if key in self._keys:
            raise RequestInProgress("The request with this Idempotency-Key is still being carried out")
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)
