"""How many streams a transport carries at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from sarvanom.shared.errors import ServiceUnavailable


class StreamSlots:
    """A bound for streams, which nobody waits for: they last, so a turn might never come."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one; raises `ServiceUnavailable` if all are taken."""
        if self._taken >= self._most:
            raise ServiceUnavailable("There are too many streams to the service")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
