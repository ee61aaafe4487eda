"""What crud does in the background: reclaim what has expired."""

import asyncio
from typing import Final

import structlog

from sarvanom.backends.storage.contract import Store
from sarvanom.shared.errors import SarvanOMError

_SECONDS_BETWEEN_ROUNDS: Final = 1.0


async def keep_house(store: Store) -> None:
    """Reclaim expired resources, in small batches between the writes of callers, until cancelled."""
    log = structlog.get_logger()
    while True:
        try:
            reclaimed = await store.reclaim()
        except SarvanOMError as error:
            log.warning("could not reclaim expired entries", reason=error.detail)
            reclaimed = 0
        except Exception:
            log.exception("housekeeping failed")
            reclaimed = 0
        await asyncio.sleep(0 if reclaimed else _SECONDS_BETWEEN_ROUNDS)
