"""A body that comes in no faster than its sender's quota of bytes allows."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Message, Receive

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.shared.quotas import Charge, Demand, Quota

_COUNTED_AT_ONCE: Final = 64 * 1024
_LONGEST_WAIT: Final = 1.0


def paced(
    receive: Receive, store: LimitStore, quota: Quota, caller: str, sleep: Callable[[float], Awaitable[object]]
) -> Receive:
    """Return a `receive` that hands a part of the body on when all of it is counted, but for less than 64 KiB.

    While it waits, nothing more is read from the connection. What is left at the end is counted before the end is told.
    """
    key = f"bytes:{caller}"
    owed = 0

    async def pay() -> None:
        nonlocal owed
        while owed:
            amount = min(owed, quota.amount)
            verdict = await store.admit(Demand((Charge(quota, key, amount),)))
            if verdict.refused_by is None:
                owed -= amount
            else:
                await sleep(min(verdict.retry_in, _LONGEST_WAIT))

    async def receive_paced() -> Message:
        nonlocal owed
        message = await receive()
        if message["type"] == "http.request":
            owed += len(message.get("body", b""))
            if owed >= _COUNTED_AT_ONCE or not message.get("more_body"):
                await pay()
        return message

    return receive_paced
