"""What is looked at now and then, so that metrics can tell of it: the revision, and how large the cache is."""

import asyncio
from typing import Final

from sarvanom.backends.storage.contract import Store
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.observations import CacheMeasured, ErrorUnforeseen, StoreMeasured, tell
from sarvanom.shared.resources import CACHE

_SECONDS: Final = 5.0
_CACHE_SECONDS: Final = 30.0
_CACHE_SHARE: Final = 100
"""A cache that takes long to count is counted less often, so that no more than this part of the time goes into it."""


async def measure_store(store: Store, seconds: float = _SECONDS) -> None:
    """Look every so many seconds until cancelled; that the database is away is told, and no error."""
    loop = asyncio.get_running_loop()
    cache_due = 0.0
    while True:
        try:
            bounds = (await store.look()).bounds
            tell(StoreMeasured(is_available=True, revision=bounds.head, floor=bounds.floor))
            if (began := loop.time()) >= cache_due:
                stats = await store.stats(CACHE)
                tell(CacheMeasured(stats.entries, stats.bytes))
                cache_due = loop.time() + max(_CACHE_SECONDS, _CACHE_SHARE * (loop.time() - began))
        except SarvanOMError:
            tell(StoreMeasured(is_available=False))
        except Exception as error:  # noqa: BLE001 (the log says what; the next look tries again)
            tell(ErrorUnforeseen(error, "measuring the store"))
            tell(StoreMeasured(is_available=False))
        await asyncio.sleep(seconds)
