"""A look at the database: what it says, and that it can be taken by many at once."""

import asyncio

from sarvanom.backends.storage.contract import Store
from sarvanom.backends.storage.schema import HEAD
from sarvanom.shared.changes import LogBounds
from sarvanom.shared.resources import DATASETS
from tests.contracts.storage.writing import dataset, put


async def test_a_look_tells_schema_and_revisions(store: Store) -> None:
    assert (await store.look()).bounds == LogBounds(0, 0)
    for number in range(3):
        await put(store, DATASETS, dataset(f"d{number}"))
    await store.log.compact(keep=1)
    state = await store.look()
    assert (state.schema, state.bounds) == (HEAD, LogBounds(2, 3))
    if state.system == "postgresql":
        assert state.room is not None
        assert 0 < state.room.open <= state.room.most
    else:
        assert state.room is None


async def test_many_look_at_once_and_some_give_up(store: Store) -> None:
    await put(store, DATASETS, dataset("a"))
    looks = [asyncio.create_task(store.look()) for _ in range(200)]
    await asyncio.sleep(0)
    for look in looks[::2]:
        look.cancel()
    assert {(await look).bounds.head for look in looks[1::2]} == {1}
    assert (await store.look()).bounds.head == 1
