"""The connection breaks between COMMIT and its answer: writes are told what became of them, or that nobody knows."""

import asyncio
from typing import Any

import pytest

from sarvanom.backends.storage.contract import Removed, Written
from sarvanom.backends.storage.postgres.statements import OUTCOME
from sarvanom.backends.storage.postgres.transactor import Locked, Proof, Transactor
from sarvanom.backends.storage.sql import SQL
from sarvanom.shared.errors import ResourceConflict, ServiceUnavailable, UpstreamTimeout
from sarvanom.shared.models.crud_models import CacheEntry
from sarvanom.shared.resources import CACHE, SETTINGS
from tests.unit.backends.storage.postgres.proxy import COMMIT, Proxy
from tests.unit.backends.storage.postgres.things import SHORT, ask, is_written, opened, outcome, put, revisions, setting


async def test_a_group_whose_commit_was_carried_out_is_acknowledged_once(network: Proxy, database: str) -> None:
    async with opened(network.url) as (store, service):
        await store.write(put("taken"))
        network.lose_answer_to = COMMIT
        writes = [outcome(store.write(put(number, idempotency_key=f"once {number}"))) for number in range(20)]
        found = await asyncio.gather(*writes, outcome(service.settings.create(setting("taken"))))
        assert all(is_written(written) for written, _ in found[:20])
        assert isinstance(found[20][0], ResourceConflict)
        given = [written.revision for written, _ in found if isinstance(written, Written)]
        assert sorted(given) == list(range(2, 22))
        again = await store.write(put(3, idempotency_key="once 3"))
        assert (again.is_replay, again.revision) == (True, given[3])
    assert await revisions(database) == list(range(1, 22))


async def test_a_group_whose_commit_never_arrived_is_refused_and_can_be_repeated(network: Proxy, database: str) -> None:
    async with opened(network.url) as (store, _):
        await store.write(put("first"))
        network.lose = COMMIT
        found = await asyncio.gather(
            *(outcome(store.write(put(number, idempotency_key=f"once {number}"))) for number in range(10))
        )
        refused = [number for number, (error, _) in enumerate(found) if isinstance(error, ServiceUnavailable)]
        assert refused, "one group was lost"
        assert all(is_written(written) or isinstance(written, ServiceUnavailable) for written, _ in found)
        for number in range(10):
            written = await store.write(put(number, idempotency_key=f"once {number}"))
            assert written.is_replay == (number not in refused)
    assert await revisions(database) == list(range(1, 12))


@pytest.mark.parametrize("carried_out", [True, False])
async def test_what_nobody_can_tell_is_said_to_be_so_and_the_key_tells_later(
    network: Proxy, database: str, carried_out: bool
) -> None:
    async with opened(network.url, timeouts=SHORT) as (store, _):
        await store.write(put("first"))
        network.refuses_then = True
        if carried_out:
            network.lose_answer_to = COMMIT
        else:
            network.lose = COMMIT
        (error, took), (next_error, _) = await asyncio.gather(
            outcome(store.write(put("doubted", idempotency_key="once"))), outcome(soon(store.write, put("next")))
        )
        assert isinstance(error, UpstreamTimeout)
        assert took < 5
        assert isinstance(next_error, ServiceUnavailable), "what was not tried is refused, and not in doubt"
        network.refuses = False
        await asyncio.sleep(0.25)
        written = await store.write(put("doubted", idempotency_key="once"))
        assert (written.is_replay, written.revision) == (carried_out, 2)
    assert await revisions(database) == [1, 2]


async def soon(action: Any, *arguments: Any) -> Any:
    await asyncio.sleep(0.1)
    return await action(*arguments)


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_deletion_by_tag_in_doubt_is_told_by_its_key_or_in_doubt(network: Proxy, carried_out: bool) -> None:
    async with opened(network.url) as (store, service):
        for number in range(3):
            await service.cache.create(CacheEntry(key=f"entry/{number}", value=1, tags=["old"]))
        if carried_out:
            network.lose_answer_to = COMMIT
        else:
            network.lose = COMMIT
        found, _ = await outcome(store.delete_where(CACHE, ()))
        left = await service.cache.list()
        if carried_out:
            assert isinstance(found, UpstreamTimeout), "it left nothing that could be found"
            assert left.items == []
        else:
            assert isinstance(found, ServiceUnavailable)
            assert len(left.items) == 3
            assert await store.delete_where(CACHE, ()) == Removed(4, 3)


async def test_cache_entries_in_doubt_are_told_by_their_rows(network: Proxy) -> None:
    async with opened(network.url) as (_, service):
        network.lose_answer_to = COMMIT
        stored = await service.cache.create(CacheEntry(key="entry", value=1))
        assert stored == await service.cache.get("entry")


async def test_the_number_of_a_lost_transaction_that_another_one_got_deceives_nobody(database: str) -> None:
    """After a crash the server gives numbers again that it had given to what was not yet on disk."""
    async with opened(database) as (store, _):
        written = await store.write(put("ours"))
        transactor: Transactor = store._writers["revision"]._transactor
        session = await transactor._open_session()
        transaction = (await ask(database, "SELECT xmin::text AS id FROM changes WHERE revision = 1"))[0]["id"]
        assert (await session.fetch_one(OUTCOME, {"transaction": transaction}))[0] == "committed"
        proof = SQL("SELECT 1 FROM changes WHERE revision = $1 AND id = $2", ("revision", "id"))
        lost = await store._pool._take()
        values = {"revision": written.revision, "id": "key/ours"}
        assert await transactor._has_committed(transaction, lost, Proof(proof, values))
        with pytest.raises(UpstreamTimeout):
            await transactor._has_committed(transaction, lost, Proof(proof, {**values, "id": "key/others"}))
        to_come = str(int(transaction) + 1_000_000)
        assert not await transactor._has_committed(to_come, lost, Proof(proof, values))
        store._pool._give_back(lost)


async def test_a_commit_that_still_waits_is_ended_and_then_told(database: str) -> None:
    async with opened(database) as (store, _):
        await store.write(put("first"))
        transactor = store._writers["revision"]._transactor
        lost = await store._pool._take()
        await lost.execute("BEGIN")
        held = Locked(1, (await lost.connection.fetchval("SELECT pg_current_xact_id()::text")))
        assert not await transactor._has_committed(held.transaction, lost, None)
        lost.drop()
        store._pool._free_slot()


async def test_what_was_committed_stays_acknowledged_when_the_rest_of_its_group_fails(
    network: Proxy, database: str
) -> None:
    """A group can take several transactions; the second one's failure is no word on the first one's writes."""
    async with opened(network.url, timeouts=SHORT) as (store, _):
        await store.write(put("first"))
        writes = [put(number) for number in range(300)]  # more than one transaction takes
        transactor = store._writers["revision"]._transactor
        run, runs = transactor.run, 0

        async def cut_before_the_second(work: Any) -> Any:
            nonlocal runs
            runs += 1
            if runs == 2:
                network.refuses = True
                network.cut()
            return await run(work)

        transactor.run = cut_before_the_second  # type: ignore[method-assign]
        found = await store.write_all(writes)
        network.refuses = False
        stored = await revisions(database)
        acknowledged = [written.revision for written in found if isinstance(written, Written)]
        assert acknowledged == stored[1:]
        assert len(acknowledged) == 256
        assert all(isinstance(error, ServiceUnavailable) for error in found[256:])
        network.refuses = True
        network.cut()
        with pytest.raises(ServiceUnavailable):
            await store.write_all(writes)
        network.refuses = False
        await asyncio.sleep(0.3)
        assert await store.read(SETTINGS, "key/0") is not None
