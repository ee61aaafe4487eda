"""An import as a stream: few groups ahead and no more, results before the end, errors after what came before."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from sarvanom.backends.storage.contract import Document, Write, Written
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.bulk_import import MAX_SUBMITTED, import_stream
from sarvanom.services.crud.bulk_lines import GROUP_LINES, LineImport
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.bulk_models import OnConflict
from sarvanom.shared.resources import MODELS, SETTINGS
from sarvanom.web.bulk_lines import Line
from tests.harness.secrets import sealed


class PlayedStore:
    """A store that takes what it is given when it is told to."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.error: SarvanOMError | None = None

    def prepare(self, write: Write) -> Write:
        return write

    async def write_all(self, writes: Sequence[Write]) -> list[Written]:
        self.groups.append(len(writes))
        if self.error is not None:
            raise self.error
        for write in writes:
            write.decide(None)
        await self.may_go.wait()
        return [
            Written(number, Document(write.id, number, "t", b"{}", "s"), is_new=True)
            for number, write in enumerate(writes, 1)
        ]


def line(number: int) -> bytes:
    return b'{"setting_key":"k%d","setting_value":1}\n' % number


def results_of(store: Any, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return import_stream(LineImport(SETTINGS, store, line_limit=10**6), chunks)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_one_group_is_read_ahead_of_those_that_the_store_has_and_no_more() -> None:
    store, taken = PlayedStore(), 0
    store.may_go.clear()

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for number in range(10 * GROUP_LINES):
            taken += 1
            yield line(number)

    results = results_of(store, chunks())
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert store.groups == [GROUP_LINES] * MAX_SUBMITTED
    assert taken == (MAX_SUBMITTED + 1) * GROUP_LINES + 1
    store.may_go.set()
    assert (await first).count(b"\n") == GROUP_LINES
    await settle()
    assert taken == (MAX_SUBMITTED + 2) * GROUP_LINES + 1, "nothing is read for a caller that takes no results"
    rest = b"".join([chunk async for chunk in results])
    assert rest.count(b"\n") == 9 * GROUP_LINES


async def test_groups_are_stored_in_the_order_of_their_lines_although_secrets_take_their_time(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        secret = json.dumps({"model_name": "m", "provider": "first", "parameters": {"api_key": "k" * 5000}}).encode()
        for _ in range(GROUP_LINES):
            yield secret + b"\n"
        yield b'{"model_name":"m","provider":"last"}\n'

    inner = SQLiteStore(tmp_path / "s.db")
    imported = LineImport(MODELS, sealed(inner), OnConflict.REPLACE, line_limit=10**6)
    text = b"".join([chunk async for chunk in import_stream(imported, chunks())])
    revisions = [json.loads(result)["revision"] for result in text.splitlines()]
    assert revisions == list(range(1, GROUP_LINES + 2))
    stored = await inner.read(MODELS, "m")
    assert stored is not None
    assert json.loads(stored.body)["provider"] == "last"
    await inner.aclose()


async def test_lines_leave_no_garbage_behind() -> None:
    lines = LineImport(SETTINGS, PlayedStore(), line_limit=10**6)  # type: ignore[arg-type]
    gc.collect()
    for number in range(100):
        lines.read(Line(number, line(number)))
    assert gc.collect() == 0, "a cycle keeps every line until a collection of garbage"


async def test_what_has_arrived_goes_together_and_waits_for_nothing() -> None:
    store = PlayedStore()
    more = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield line(1) + line(2) + line(3)
        await more.wait()
        yield line(4)

    results = results_of(store, chunks())
    assert (await anext(results)).count(b"\n") == 3
    more.set()
    assert [json.loads(chunk)["line"] async for chunk in results] == [4]
    assert store.groups == [3, 1]


async def test_a_caller_that_goes_away_is_raised_after_what_came_before() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield line(1) + b'{"setting_key":"half'
        raise ClientDisconnect

    store = PlayedStore()
    results = results_of(store, chunks())
    assert json.loads(await anext(results))["id"] == "k1"
    with pytest.raises(ClientDisconnect):
        await anext(results)
    assert store.groups == [1]


async def test_a_store_that_is_away_refuses_its_lines_and_others_go_on() -> None:
    store = PlayedStore()
    store.error = ServiceUnavailable("The database is away")

    async def chunks() -> AsyncIterator[bytes]:
        yield line(1) + b"{bad\n"
        store.error = None
        await asyncio.sleep(0.01)
        yield line(3)

    text = b"".join([chunk async for chunk in results_of(store, chunks())])
    store.error = None
    results = [json.loads(found) for found in text.splitlines()]
    assert [result["line"] for result in results] == [1, 2, 3]
    assert results[1]["code"] == "malformed_json"
    assert results[2]["status"] == 201


async def test_results_that_are_left_stop_the_reading() -> None:
    is_closed = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield line(1)
            await asyncio.Event().wait()
        finally:
            is_closed.set()

    results = results_of(PlayedStore(), chunks())
    await anext(results)
    await results.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(1):
        await is_closed.wait()
