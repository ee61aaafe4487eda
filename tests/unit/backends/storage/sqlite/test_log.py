"""What compaction leaves in the file, and that it lets writers in."""

import asyncio
from contextlib import closing
from pathlib import Path

import apsw

from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.shared.resources import DATASETS
from tests.unit.backends.storage.rows import dataset, put, putting, remove


def rows(file: Path) -> list[int]:
    with closing(apsw.Connection(str(file))) as connection:
        return [revision for (revision,) in connection.execute("SELECT revision FROM changes ORDER BY revision")]


async def test_compaction_deletes_what_is_superseded_and_deletions(store: SQLiteStore, file: Path) -> None:
    for id in ("a", "b", "a", "c", "a", "b"):
        await put(store, DATASETS, dataset(id))
    await remove(store, DATASETS, "c")
    await put(store, DATASETS, dataset("d"))
    await remove(store, DATASETS, "b")
    await put(store, DATASETS, dataset("c"))
    for keep, held in (
        (8, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (5, [2, 4, 5, 6, 7, 8, 9, 10]),
        (3, [5, 6, 8, 9, 10]),
        (1, [5, 8, 10]),
        (0, [5, 8, 10]),
    ):
        await store.log.compact(keep=keep)
        bounds = await store.log.bounds()
        assert (bounds.floor, rows(file)) == (10 - keep, held)


async def test_log_of_one_resource_shrinks_to_one_row(store: SQLiteStore, file: Path) -> None:
    await store.write_all([putting(DATASETS, dataset("a", size=number)) for number in range(2_500)])
    assert [await store.log.compact(keep=0) for _ in range(4)] == [1_000, 1_000, 500, 0]
    assert rows(file) == [2_500]
    await remove(store, DATASETS, "a")
    await store.log.compact(keep=0)
    assert rows(file) == []


async def test_writes_come_between_batches(store: SQLiteStore) -> None:
    await store.write_all([putting(DATASETS, dataset("a", size=number)) for number in range(5_000)])
    order: list[str] = []

    async def compact() -> None:
        while (await store.log.bounds()).floor < 5_000:
            await store.log.compact(keep=0)
            order.append("batch")

    async def write() -> None:
        for _ in range(3):
            await put(store, DATASETS, dataset("b"))
            order.append("write")

    await asyncio.gather(compact(), write())
    assert order.count("batch") >= 5
    assert order.index("write") < 3
    assert [*reversed(order)].index("write") > 0
