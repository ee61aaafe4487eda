"""What counts requests, whether in this process or for all gateways together."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from sarvanom.shared.quotas import Demand, Penalty, Verdict

MEMBER_SECONDS: Final = 86_400
"""How long a member is remembered."""
MOST_MEMBERS: Final = 16
"""How many members of a key are."""


@dataclass(slots=True)
class LimitCounts:
    """What has happened since the start, for whoever exports metrics."""

    admitted: int = 0
    refused: int = 0
    decided_alone: int = 0
    """Demands that should have been decided by what the gateways share, and were decided by this one."""
    outages: int = 0


class LimitStore(ABC):
    """Keeps what was taken of quotas; no method waits long or raises because something is away."""

    counts: LimitCounts

    @abstractmethod
    async def open(self) -> None:
        """Make ready; what cannot be reached now is tried again later."""

    @abstractmethod
    async def check(self) -> None:
        """Return if what all gateways share can be asked, or nothing is shared; raises `ServiceUnavailable`."""

    @abstractmethod
    async def admit(self, demand: Demand) -> Verdict:
        """Take all that a demand asks for, or nothing; whoever is admitted gives its place back by `release`."""

    @abstractmethod
    def release(self, demand: Demand) -> None:
        """Give the place of an admitted demand back; once."""

    @abstractmethod
    def withdraw(self, demand: Demand) -> None:
        """Give all back that an admitted demand took, which is counted by this process alone; once."""

    @abstractmethod
    async def strike(self, key: str, penalty: Penalty) -> float:
        """Count an attempt that may fail and return 0; or count nothing and return how many seconds it has to wait."""

    @abstractmethod
    async def pardon(self, key: str, penalty: Penalty, *, all_of_them: bool) -> None:
        """Take one counted attempt back, or all of them."""

    @abstractmethod
    async def remember(self, key: str, member: str) -> None:
        """Remember a member of a key for a day; of each key no more than 16, the ones that were remembered last."""

    @abstractmethod
    async def remembers(self, key: str, member: str) -> bool:
        """Tell whether a member of a key is remembered."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of what is open."""
