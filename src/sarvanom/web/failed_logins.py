"""Failed logins, which slow down whoever makes them and the account they are made for."""

import math

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.security.limits import (
    FAILURES_OF_ACCOUNT,
    FAILURES_OF_ADDRESS,
    FAILURES_OF_ATTEMPTS,
    account_key,
    caller_at,
)
from sarvanom.shared.errors import RateLimited
from sarvanom.shared.quotas import Penalty


class FailedLogins:
    """Counts attempts to log in: the first few are free, each next one has to wait twice as long.

    They are counted for the address, for the account from this address, and for the account from anywhere: but not
    where somebody has logged in to the account within a day from the same address, so that strangers elsewhere cannot
    keep its owner out. An attempt counts as failed from the moment of `check`, so that guesses made at the same time
    are counted too; `succeeded` takes it back. Addresses are those of the ASGI scope's client, or None.
    """

    def __init__(
        self,
        store: LimitStore,
        *,
        of_attempts: Penalty = FAILURES_OF_ATTEMPTS,
        of_account: Penalty = FAILURES_OF_ACCOUNT,
        of_address: Penalty = FAILURES_OF_ADDRESS,
    ) -> None:
        self._store = store
        self._of_attempts = of_attempts
        self._of_account = of_account
        self._of_address = of_address

    async def check(self, address: str | None, account: str) -> None:
        """Begin an attempt, before the password is looked at; raises `RateLimited` if it has to wait, uncounted."""
        begun: list[tuple[str, Penalty]] = []
        for key, penalty in await self._counts(address, account):
            left = await self._store.strike(key, penalty)
            if left > 0:
                await self._take_back(begun)
                raise _too_early(left)
            begun.append((key, penalty))

    async def succeeded(self, address: str | None, account: str) -> None:
        """End an attempt that was right: forget the failures of its account from its address, and this one elsewhere.

        The address is remembered as one of the account's.
        """
        counts = await self._counts(address, account)
        await self._take_back([count for count in counts if count[1] is not self._of_attempts])
        await self._store.pardon(_attempts_key(address, account), self._of_attempts, all_of_them=True)
        await self._store.remember(_known_key(account), caller_at(address))

    async def undecided(self, address: str | None, account: str) -> None:
        """End an attempt of which nobody could say whether it was right: it does not count."""
        await self._take_back(await self._counts(address, account))

    async def failed(self, address: str | None) -> None:
        """Count a credential that was wrong and names no account, such as an unknown key; raises `RateLimited`.

        Call it after the credential was looked at, and only if it was wrong.
        """
        left = await self._store.strike(_address_key(address), self._of_address)
        if left > 0:
            raise _too_early(left)

    async def _counts(self, address: str | None, account: str) -> list[tuple[str, Penalty]]:
        """Return what an attempt counts for."""
        counts = [
            (_address_key(address), self._of_address),
            (_attempts_key(address, account), self._of_attempts),
        ]
        if not await self._store.remembers(_known_key(account), caller_at(address)):
            counts.append((account_key(account), self._of_account))
        return counts

    async def _take_back(self, counts: list[tuple[str, Penalty]]) -> None:
        for key, penalty in counts:
            await self._store.pardon(key, penalty, all_of_them=False)


def _address_key(address: str | None) -> str:
    return f"login:{caller_at(address)}"


def _attempts_key(address: str | None, account: str) -> str:
    return f"{account_key(account)}:{caller_at(address)}"


def _known_key(account: str) -> str:
    return f"{account_key(account)}:known"


def _too_early(seconds: float) -> RateLimited:
    wait = math.ceil(seconds)
    return RateLimited(f"There were too many failed logins; try again in {wait} s", headers={"Retry-After": str(wait)})
