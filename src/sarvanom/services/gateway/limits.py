"""Where the gateway's limits are counted."""

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.backends.limits.memory import MemoryLimits


def limit_store(valkey_url: str | None) -> LimitStore:
    """Return what counts: Valkey for all gateways, or this process; raises `ValueError` if the URL cannot be read."""
    if valkey_url is None:
        return MemoryLimits()
    # The driver is loaded only where it is used.
    from sarvanom.backends.limits.valkey.connection import ValkeyScripts
    from sarvanom.backends.limits.valkey.shared import SharedLimits

    return SharedLimits(ValkeyScripts(valkey_url))
