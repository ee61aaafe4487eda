"""Watching the log: everything after a position, once, in order, for as long as anybody wants."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.log_models import Change
from tests.contracts.samples import MODEL, USER, new_id
from tests.contracts.test_log import head_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def take(changes: AsyncGenerator[Change], count: int) -> list[Change]:
    """Return the next changes."""
    async with asyncio.timeout(20):
        return [await anext(changes) for _ in range(count)]


async def test_what_happened_since_and_what_happens_is_told_once_in_order(service: CRUDServiceContract) -> None:
    since = await head_of(service)
    ids = [new_id() for _ in range(4)]
    for id in ids[:2]:
        await service.users.create(USER.build(id))
    async with aclosing(service.log.watch(since)) as changes:
        seen = await take(changes, 2)
        for id in ids[2:]:
            await service.users.create(USER.build(id))
        seen += await take(changes, 2)
    assert [one.id for one in seen] == ids
    assert [one.revision for one in seen] == list(range(since + 1, since + 5))
    assert seen == (await service.log.changes(since)).items


async def test_watch_without_a_position_begins_now(service: CRUDServiceContract) -> None:
    await service.users.create(USER.build(new_id()))
    async with aclosing(service.log.watch()) as changes:
        first = asyncio.create_task(take(changes, 1))
        written = list[int]()
        while not first.done():
            written.append((await service.users.create(USER.build(new_id()))).revision or 0)
            await asyncio.sleep(0.05)
        assert (await first)[0].revision in written


async def test_watch_is_filtered_like_a_list(service: CRUDServiceContract) -> None:
    since, mine, id = await head_of(service), new_id(), new_id()
    await service.models.create(MODEL.build(id, service=mine))
    await service.models.create(MODEL.build(new_id()))
    await service.users.create(USER.build(new_id(), service=mine))
    await service.models.patch(id, {"service": "other"})
    async with (
        aclosing(service.log.watch(since, service=mine)) as by_service,
        aclosing(service.log.watch(since, resource="models", id=id)) as by_id,
        aclosing(service.log.watch(since, resource="users")) as by_resource,
    ):
        assert [one.operation for one in await take(by_service, 3)] == ["create", "create", "delete"]
        assert [one.operation for one in await take(by_id, 2)] == ["create", "update"]
        assert [one.resource for one in await take(by_resource, 1)] == ["users"]
        await service.users.create(USER.build(new_id(), service=mine))
        assert (await take(by_service, 1))[0].resource == "users"
        assert (await take(by_resource, 1))[0].service == mine


async def test_watchers_see_the_same(service: CRUDServiceContract) -> None:
    since = await head_of(service)

    async def watch() -> list[int]:
        async with aclosing(service.log.watch(since)) as changes:
            return [one.revision for one in await take(changes, 20)]

    watchers = [asyncio.create_task(watch()) for _ in range(5)]
    for _ in range(20):
        await service.users.create(USER.build(new_id()))
    for watcher in watchers:
        assert await watcher == list(range(since + 1, since + 21))


@pytest.mark.parametrize("since", [10**15, -1])
async def test_position_that_is_none_is_refused(service: CRUDServiceContract, since: int) -> None:
    async with aclosing(service.log.watch(since)) as changes:
        with pytest.raises(ValidationFailed) as caught:
            await anext(changes)
    assert [error.field for error in caught.value.errors] == ["since"]
