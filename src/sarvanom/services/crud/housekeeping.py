"""What crud does in the background: reclaim what has expired, forget old keys, compact the log."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from sarvanom.backends.storage.contract import Store
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.observations import ErrorUnforeseen, tell
from sarvanom.shared.resources import format_timestamp

_SECONDS_BETWEEN_ROUNDS: Final = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept: idempotency keys in s, changes in s and in number (None: for ever, all)."""

    key_seconds: float = 86_400.0
    history_seconds: float | None = None
    history_changes: int | None = None

    async def compact(self, store: Store) -> int:
        """Let go of a batch of the log that is too long or too old; return how many revisions it was."""
        if self.history_seconds is None and self.history_changes is None:
            return 0
        before = None if self.history_seconds is None else _ago(self.history_seconds)
        return await store.log.compact(keep=self.history_changes, before=before)

    async def forget_keys(self, store: Store) -> int:
        """Forget a batch of old idempotency keys; return how many they were."""
        return await store.forget_keys(_ago(self.key_seconds))


async def keep_house(store: Store, retention: Retention) -> None:
    """Work in small batches between the writes of callers, until cancelled."""
    work: dict[str, Callable[[], Awaitable[int]]] = {
        "reclaim expired entries": store.reclaim,
        "forget idempotency keys": lambda: retention.forget_keys(store),
        "compact the log": lambda: retention.compact(store),
    }
    refusal: str | None = None
    while True:
        done, refused = await _attempt(work)
        if refused is not None and refused != refusal:
            _log.warning("housekeeping has to wait", reason=refused)
        refusal = refused
        await asyncio.sleep(0.01 if done else _SECONDS_BETWEEN_ROUNDS)


async def _attempt(work: Mapping[str, Callable[[], Awaitable[int]]]) -> tuple[bool, str | None]:
    """Do a batch of each; return whether there was anything to do, and what the database refused it for."""
    done = False
    for name, piece in work.items():
        try:
            done |= bool(await piece())
        except SarvanOMError as error:
            return done, error.detail
        except Exception as error:  # noqa: BLE001 (the log says what; the next round tries again)
            tell(ErrorUnforeseen(error, name))
    return done, None


def _ago(seconds: float) -> str:
    return format_timestamp(datetime.now(UTC) - timedelta(seconds=seconds))
