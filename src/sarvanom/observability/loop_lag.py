"""How late the event loop is."""

import asyncio
from typing import Final

from sarvanom.shared.observations import LoopLagged, tell

_PERIOD: Final = 0.25


class LoopLag:
    """Sets a timer again and again, and tells how late it came."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running loop."""
        self._set(asyncio.get_running_loop())

    def stop(self) -> None:
        """Set no more timers."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _PERIOD

        def look() -> None:
            tell(LoopLagged(max(0.0, loop.time() - due)))
            self._set(loop)

        self._timer = loop.call_at(due, look)
