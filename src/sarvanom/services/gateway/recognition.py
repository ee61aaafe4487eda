"""That crud does not know this gateway: what is told of it, and to whom."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from sarvanom.backends.identity.secret_files import INTERNAL_SECRET
from sarvanom.shared.errors import ServiceUnavailable

_LOG_SECONDS: Final = 60.0
_log = structlog.get_logger()


class Recognition:
    """Turns crud's disbelief into an error of the gateway's, which its callers are not to blame for.

    It is logged once a minute at most, however many requests it keeps from being answered.
    """

    def __init__(self, given: str | None, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take what says where the internal secret is from."""
        self._source = "SARVANOM_INTERNAL_SECRET" if given is not None else str(folder / INTERNAL_SECRET)
        self._told = (
            "SARVANOM_INTERNAL_SECRET"
            if given is not None
            else f"the file {INTERNAL_SECRET} in its data folder, as SARVANOM_INTERNAL_SECRET is not set"
        )
        self._clock = clock
        self._logged_at: float | None = None

    def refused(self, reason: str) -> ServiceUnavailable:
        """Return what to raise when crud answered 401; it names no path."""
        now = self._clock()
        if self._logged_at is None or now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            _log.warning("crud does not know this gateway", reason=reason, secret_from=self._source)
        return ServiceUnavailable(f"crud does not know this gateway: {reason}. Its secret is from {self._told}")
