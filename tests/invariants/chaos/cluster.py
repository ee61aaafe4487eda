"""The system that the chaos is made in, as writers, readers and watchers know it."""

import random
from abc import ABC, abstractmethod


class Cluster(ABC):
    """Processes that answer on ports, of which some may be down; what blocks is called in a thread."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.down: set[int] = set()

    def live_port(self, chance: random.Random) -> int:
        """Return the port of a process that is up; of any, if none is."""
        return chance.choice([port for port in self.ports if port not in self.down] or self.ports)

    @abstractmethod
    def kill(self, port: int) -> None:
        """End the process on this port without warning; blocks."""

    @abstractmethod
    def start(self, port: int) -> None:
        """Start the process on this port again and return when it is ready; blocks."""
