"""The connections of a process: how many there may be, and how long each may take to say something."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sarvanom.shared.observations import ConnectionsCounted, ConnectionsTurnedAway, tell

_LONGEST_PERIOD: Final = 1.0
_PARTS: Final = 8
"""Into how many parts the shortest time is cut: nobody gets more than one part longer."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the connections of one process may take; times are in seconds."""

    head_seconds: float = 20.0
    """From a connection, or the first byte of a request on one that is open, to the end of the request's head."""
    body_seconds: float = 60.0
    """How long a body may bring too little while it is asked for."""
    idle_seconds: float = 75.0
    """From an answer to the next request; clients with a pool close earlier."""
    reader_seconds: float = 20.0
    """How long a reader may leave a whole answer."""
    connections: int = 10_000
    connections_per_address: int | None = None
    trusted_proxies: Sequence[str] = ()
    """Addresses and networks that many callers share, `*` for all: only the first limit holds for them."""

    @property
    def period(self) -> float:
        """How often to look."""
        shortest = min(self.head_seconds, self.body_seconds, self.idle_seconds, self.reader_seconds)
        return min(_LONGEST_PERIOD, shortest / _PARTS)


class Guarded(Protocol):
    """A connection that ends by itself what takes too long."""

    def check(self, now: float) -> None: ...


class ConnectionGuard:
    """Counts the connections of a process, and has each look at its own times every now and then.

    `now` is the time at the next look: a request that notes it pays for no timer, asks no clock, and is never ended too
    early. Between two looks no more time passes than twice what should: while this process, or all of the machine,
    stands still, nothing that a caller sends is read, and nobody may be blamed for silence.
    """

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        self.now = 0.0
        self._connections: dict[Guarded, str | None] = {}
        self._by_address: Counter[str] = Counter()
        self._turned_away = 0
        self._looked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_shared = _membership(self.limits.trusted_proxies)

    def start(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        self._looked_at = loop.time()
        self.now = self._looked_at + self.limits.period
        self._timer = loop.call_later(self.limits.period, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def admit(self, connection: Guarded, host: str | None) -> bool:
        """Take a connection from an address, and tell whether there is room for it; either way it must `leave`."""
        limits = self.limits
        most = limits.connections_per_address
        address = None if most is None or host is None or self._is_shared(host) else _neighbourhood(host)
        is_within = len(self._connections) < limits.connections
        if address is not None and most is not None:
            is_within = is_within and self._by_address[address] < most
            self._by_address[address] += 1
        self._connections[connection] = address
        if not is_within:
            self._turned_away += 1
        return is_within

    def leave(self, connection: Guarded) -> None:
        """Forget a connection."""
        address = self._connections.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def look(self, now: float) -> None:
        """Have every connection look at its times."""
        self.now = now
        for connection in list(self._connections):
            connection.check(now)
        tell(ConnectionsCounted(len(self._connections)))
        if self._turned_away:
            tell(ConnectionsTurnedAway(self._turned_away, len(self._connections)))
            self._turned_away = 0

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        period = self.limits.period
        self._timer = loop.call_later(period, self._tick)
        before, self._looked_at = self._looked_at, loop.time()
        self.look(self.now - period + min(self._looked_at - before, 2 * period))
        self.now += period


def _neighbourhood(host: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, since one caller has all that begin with them."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:8].hex()


def _membership(networks: Sequence[str]) -> Callable[[str], bool]:
    if "*" in networks:
        return lambda _: True
    known = [ipaddress.ip_network(network) for network in networks]
    return lambda host: any(ipaddress.ip_address(host.partition("%")[0]) in network for network in known)
