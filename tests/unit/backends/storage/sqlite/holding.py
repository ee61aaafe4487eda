"""Holding a writer back."""

import asyncio
import threading

from sarvanom.backends.storage.sqlite.transaction import Transaction
from sarvanom.backends.storage.sqlite.writer import GroupWriter


async def hold(writer: GroupWriter, *, is_bulk: bool = False) -> tuple[threading.Event, asyncio.Future[object]]:
    """Keep the writer busy with work that changes nothing, until the event is set."""
    started, gate = threading.Event(), threading.Event()

    def wait(_: Transaction) -> object:
        started.set()
        return gate.wait()

    held: asyncio.Future[object] = asyncio.ensure_future(writer.submit(wait, is_bulk=is_bulk))
    await asyncio.to_thread(started.wait)
    return gate, held
