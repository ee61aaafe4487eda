"""Where the addresses of a service's instances come from."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sarvanom.shared.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True)
class Target:
    """One instance; of those with the lowest `priority` that are well, each gets its share by `weight` (RFC 2782)."""

    url: str
    priority: int = 0
    weight: int = 1


class Finding(NamedTuple):
    """The instances, and for how many seconds the answer holds."""

    targets: Sequence[Target]
    ttl: float


class EndpointSource(ABC):
    """Something that knows where the instances are."""

    @abstractmethod
    async def find(self) -> Finding:
        """Return the instances in a stable order, never none.

        Raises:
            ServiceUnavailable: the source cannot be asked, or knows of none.
        """


class StaticSource(EndpointSource):
    """A list that never changes."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._targets = tuple(Target(url) for url in dict.fromkeys(urls))

    async def find(self) -> Finding:
        """Return the list."""
        if not self._targets:
            raise ServiceUnavailable("No instance of the service is configured")
        return Finding(self._targets, float("inf"))
