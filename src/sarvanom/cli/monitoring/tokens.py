"""The token by which the metrics of a service may be read."""

from pathlib import Path

from sarvanom.backends.identity.secret_files import METRICS_TOKEN, read_secret
from sarvanom.cli.clients import is_loopback


class MetricsTokens:
    """The token that was set, for every service, or that of the data folder, for those on this machine alone."""

    def __init__(self, given: str | None, folder: Path) -> None:
        """Read the file if nothing was set.

        Raises:
            OSError: it cannot be read, or not be trusted.
        """
        self._given = given
        self._file = folder / METRICS_TOKEN
        self._kept = None if given else read_secret(self._file)

    def find(self, url: str) -> str | None:
        """Return the token for a service; None if there is none."""
        return self._given or (self._kept if is_loopback(url) else None)

    def origin(self, url: str) -> str:
        """Return where the token for a service is from, or where one could be from."""
        if self._given:
            return "the token was that of SARVANOM_METRICS_TOKEN"
        if not is_loopback(url):
            return "there was no token: set SARVANOM_METRICS_TOKEN; that of the data folder is for this machine alone"
        if self._kept:
            return f"the token was that in {self._file}"
        return (
            f"there was no token, for {self._file.parent} has no `{METRICS_TOKEN}`: run it in the folder of "
            "`sarvanom up`, or set SARVANOM_DATA_DIR or SARVANOM_METRICS_TOKEN"
        )
