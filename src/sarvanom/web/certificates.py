"""Certificates that are replaced while the service runs."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from sarvanom.shared.tls import FollowedContext

_log = structlog.get_logger()
_SECONDS: Final = 2.0


class CertificateWatch:
    """Looks every few seconds whether the files of contexts have changed, and logs what comes of it."""

    def __init__(self, contexts: Sequence[FollowedContext], seconds: float = _SECONDS) -> None:
        self._contexts = tuple(contexts)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, if there is anything to look at."""
        if self._contexts:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def refresh(self, *, always: bool = False) -> None:
        """Look now."""
        for context in self._contexts:
            try:
                if context.refresh(always=always):
                    _log.info("certificate loaded")
            except ValueError as error:
                _log.error("certificate not loaded; the one before stays in use", reason=str(error))

    def _look(self) -> None:
        self.start()
        self.refresh()
