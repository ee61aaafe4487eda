"""How fast a reader has to be who holds something up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pace:
    """What a reader takes, against the time for which an answer waited for it, and for nothing else."""

    def __init__(self, bytes_per_second: int, grace: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the least rate, on average, and the seconds for which a reader may be as slow as it likes."""
        self._rate = bytes_per_second
        self._grace = grace
        self._clock = clock
        self._waited = 0.0
        self._taken = 0

    @contextmanager
    def waiting(self, size: int) -> Iterator[None]:
        """Count the time of this block, after which the reader has taken so many bytes more."""
        begun = self._clock()
        yield
        self._waited += self._clock() - begun
        self._taken += size

    @property
    def is_kept(self) -> bool:
        """Whether the reader is fast enough, or nothing can be said yet."""
        return self._waited <= self._grace or self._taken >= self._rate * self._waited
