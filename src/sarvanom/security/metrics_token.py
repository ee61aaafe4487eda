"""The token by which a scraper reads the metrics, and does nothing else."""

import hmac

from sarvanom.security.principals import Principal
from sarvanom.security.scopes import METRICS_READ


class MetricsToken:
    """Tells the scraper by its token; each service by itself, so that metrics are there when all else is away."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self._scraper = Principal("metrics", frozenset({METRICS_READ}))

    def principal(self, given: str) -> Principal | None:
        """Return the scraper if this is its token, else None."""
        if self._token is None or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token):
            return None
        return self._scraper
