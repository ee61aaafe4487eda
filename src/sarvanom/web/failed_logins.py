"""Failed logins, which slow down whoever makes them and the account they are made for."""

import math

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.security.limits import FAILURES_OF_ACCOUNT, FAILURES_OF_ADDRESS, account_key, caller_at
from sarvanom.shared.errors import RateLimited
from sarvanom.shared.quotas import Penalty


class FailedLogins:
    """Counts attempts to log in: the first few are free, each next one has to wait twice as long.

    An attempt counts as failed from the moment of `check`, so that guesses made at the same time are counted too;
    `succeeded` takes it back. Addresses are those of the ASGI scope's client, or None.
    """

    def __init__(
        self,
        store: LimitStore,
        *,
        of_account: Penalty = FAILURES_OF_ACCOUNT,
        of_address: Penalty = FAILURES_OF_ADDRESS,
    ) -> None:
        self._store = store
        self._of_account = of_account
        self._of_address = of_address

    async def check(self, address: str | None, account: str) -> None:
        """Begin an attempt, before the password is looked at; raises `RateLimited` if it has to wait, uncounted."""
        await self.failed(address)
        left = await self._store.strike(account_key(account), self._of_account)
        if left > 0:
            await self._store.pardon(_address_key(address), self._of_address, all_of_them=False)
            raise _too_early(left)

    async def succeeded(self, address: str | None, account: str) -> None:
        """End an attempt that was right: forget the failures of its account, and this one of its address."""
        await self._store.pardon(account_key(account), self._of_account, all_of_them=True)
        await self._store.pardon(_address_key(address), self._of_address, all_of_them=False)

    async def undecided(self, address: str | None, account: str) -> None:
        """End an attempt of which nobody could say whether it was right: it does not count."""
        await self._store.pardon(account_key(account), self._of_account, all_of_them=False)
        await self._store.pardon(_address_key(address), self._of_address, all_of_them=False)

    async def failed(self, address: str | None) -> None:
        """Count a credential that was wrong and names no account, such as an unknown key; raises `RateLimited`.

        Call it after the credential was looked at, and only if it was wrong.
        """
        left = await self._store.strike(_address_key(address), self._of_address)
        if left > 0:
            raise _too_early(left)


def _address_key(address: str | None) -> str:
    return f"login:{caller_at(address)}"


def _too_early(seconds: float) -> RateLimited:
    wait = math.ceil(seconds)
    return RateLimited(f"There were too many failed logins; try again in {wait} s", headers={"Retry-After": str(wait)})
