"""What the benchmark needs to know about a system: its commands, its API, its processes."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import Measured

# $ID becomes the id of the user, $N a number that makes two bodies for the same id differ.
USER: Mapping[str, object] = {
    "user_id": "$ID",
    "username": "name-$ID",
    "email": "$ID@example.test",
    "preferences": {"theme": "dark", "language": "en", "model": "anthropic.claude-haiku-4-5@20251001", "stream": True},
    "settings": {"timezone": "Europe/Berlin", "retention_days": 30, "tags": ["research", "internal"], "version": "$N"},
}


@dataclass(frozen=True, slots=True)
class Api:
    """Where a system keeps its users, and what its answers look like."""

    collection: str
    listing: str
    replace_method: str = "PUT"
    created: int = 201
    health: str = "/health"
    user: Mapping[str, object] = field(default_factory=lambda: USER)
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every request has besides, such as who makes it."""

    @property
    def template(self) -> str:
        """The JSON body of a user, with its placeholders."""
        return json.dumps(self.user, separators=(",", ":"))

    def body(self, user_id: str, n: int = 0) -> str:
        """Fill the template in for one user."""
        return self.template.replace("$ID", user_id).replace("$N", str(n))


@dataclass(frozen=True, slots=True)
class Ports:
    """Two free ports; a system of one process uses the first."""

    front: int
    back: int


@dataclass(frozen=True, slots=True)
class Command:
    """One process to start: its arguments, and what it needs in its environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What runs before a system and after it: how the system is told of it, and its processes."""

    environment: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Measured, ...] = ()


class System(ABC):
    """One way of building the service."""

    name: str
    api: Api
    counted: tuple[str, ...]
    """The roles whose CPU and memory make up the sum."""
    stores_users: bool = True

    @abstractmethod
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        """Name the processes to start, by role, with their data below the folder."""

    @contextmanager
    def surroundings(self, folder: Path) -> Iterator[Surroundings]:  # noqa: ARG002 -- most systems need none
        """Run what the system needs beside it, with its data below the folder."""
        yield Surroundings()

    def prepare(self, folder: Path) -> None:  # noqa: B027 -- most systems need nothing
        """Do what an installation does once, before the first start."""

    def configure(self, base_url: str) -> None:  # noqa: B027 -- most systems need nothing
        """Do what an installation does once, after the first start."""

    def role_of(self, argv: list[str]) -> str | None:  # noqa: ARG002 -- most systems start no children
        """Name the role of a child process from its command line; None if it is its parent's."""
        return None
