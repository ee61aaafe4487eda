"""How long a service has kept silent while it was its turn."""

import asyncio
from collections.abc import Callable
from typing import Final

_TICKS: Final = 4


class SilenceTimer:
    """Calls `expire` once, when the service has been silent for `seconds`.

    Silence counts while `is_awaited` says that something is waited for that only the service can do, and from the last
    `restart`. A service that takes bytes out of what is `unsent` is not silent; that is looked at now and then, so a
    service that stops reading may be found out up to half as late again.
    """

    __slots__ = ("_expire", "_is_awaited", "_loop", "_seconds", "_since", "_timer", "_unsent", "_unsent_before")

    def __init__(
        self, seconds: float, is_awaited: Callable[[], bool], unsent: Callable[[], int], expire: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._is_awaited = is_awaited
        self._unsent = unsent
        self._unsent_before = 0
        self._expire = expire
        self._since = self._loop.time()
        self._timer = self._loop.call_later(seconds / _TICKS, self._tick)

    def restart(self) -> None:
        """Count from now on: the service was heard, or its turn begins."""
        self._since = self._loop.time()

    def allow(self, seconds: float) -> None:
        """Count from now on, and up to another bound."""
        self.restart()
        self._seconds = seconds
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds / _TICKS, self._tick)

    def stop(self) -> None:
        """Never expire; idempotent."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        unsent = self._unsent()
        if unsent < self._unsent_before or not self._is_awaited():
            self._since = now
        self._unsent_before = unsent
        left = self._since + self._seconds - now
        if left <= 0:
            self._expire()
        else:
            self._timer = self._loop.call_later(min(left, self._seconds / _TICKS), self._tick)
