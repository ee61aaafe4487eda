"""The keys that access tokens are signed with: made from the installation's secret, one for each week.

Any number of gateways have the same keys without storing or exchanging them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from sarvanom.security.derived_keys import derive_key

ALGORITHM: Final = "EdDSA"
"""The name (RFC 8037) that verifiers know; the curve is always Ed25519."""
WEEK: Final = 7 * 86_400
_SHORTEST: Final = 60


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A key pair, the public half by itself, and the thumbprint (RFC 7638) that it is known by."""

    key_id: str
    private: OKPKey
    public: OKPKey


class SigningKeys:
    """The keys of one installation.

    A key signs for one `period`. It is published from one period before until one period after that, so that nobody
    meets a key that is not published yet, or already gone, whose clock is less than a period off.
    """

    def __init__(self, secret: bytes, *, period: int = WEEK, clock: Callable[[], float] = time.time) -> None:
        if period < _SHORTEST:
            raise ValueError(f"a period must have {_SHORTEST} seconds or more")
        self.period = period
        self._secret = secret
        self._clock = clock
        self._epoch = int(clock() // period)
        self._keys = self._around(self._epoch)

    def current(self) -> SigningKey:
        """Return the key that signs now."""
        return self._published()[1]

    def find(self, key_id: str) -> SigningKey | None:
        """Return the published key with this thumbprint."""
        return next((key for key in self._published() if key.key_id == key_id), None)

    def jwks(self) -> dict[str, Any]:
        """Return the published keys as a JWK Set (RFC 7517, section 5), public halves only."""
        about = {"use": "sig", "alg": ALGORITHM}
        return {"keys": [{**key.public.as_dict(), **about, "kid": key.key_id} for key in self._published()]}

    def _published(self) -> tuple[SigningKey, ...]:
        """Return the keys of the period before, of this one and of the next."""
        epoch = int(self._clock() // self.period)
        if epoch != self._epoch:
            self._keys = self._around(epoch)
            self._epoch = epoch
        return self._keys

    def _around(self, epoch: int) -> tuple[SigningKey, ...]:
        return tuple(self._derive(number) for number in (epoch - 1, epoch, epoch + 1))

    def _derive(self, epoch: int) -> SigningKey:
        seed = derive_key(self._secret, f"access-tokens/ed25519/v1/{self.period}/{epoch}")
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = OKPKey.import_key(private.public_key())
        return SigningKey(public.thumbprint(), OKPKey.import_key(private), public)
