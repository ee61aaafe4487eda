"""What the cache adds to a collection: entries whose time runs out, invalidation, and counters."""

import asyncio
from functools import partial

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from sarvanom.shared.models.crud_models import CacheEntry, CacheStats, FilterParams, PaginationParams
from tests.contracts.samples import CACHE_ENTRY, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def keys_with(service: CRUDServiceContract, tag: str) -> list[str]:
    page = await service.cache.list(PaginationParams(include_total=True), FilterParams(tags__contains=[tag]))
    assert page.total == len(page.items)
    return [entry.key for entry in page.items]


async def test_entry_is_gone_as_soon_as_its_time_ran_out(service: CRUDServiceContract) -> None:
    cache, tag = service.cache, new_id()
    before = await cache.stats()
    keys = [f"{tag}/{number}" for number in range(6)]
    created = [await cache.create(CACHE_ENTRY.build(key, ttl=1, tags=[tag])) for key in keys]
    kept = await cache.create(CACHE_ENTRY.build(f"{tag}/kept", ttl=600, tags=[tag]))
    forever = await cache.create(CACHE_ENTRY.build(f"{tag}/forever", ttl=None, tags=[tag]))
    await asyncio.sleep(1.05)

    for call in (
        partial(cache.get, keys[0]),
        partial(cache.patch, keys[1], {"ttl": 60}),
        partial(cache.replace, CACHE_ENTRY.build(keys[2], ttl=60)),
        partial(cache.delete, keys[3]),
        partial(cache.patch, keys[4], {}, if_match=created[4].revision),
    ):
        with pytest.raises(ResourceNotFound):
            await call()
    assert await keys_with(service, tag) == [kept.key, forever.key]
    assert (await cache.get(forever.key)).ttl is None
    anew = await cache.create(CACHE_ENTRY.build(keys[0], value="anew", tags=[tag]))
    assert anew.created_at is not None
    assert created[0].created_at is not None
    assert anew.created_at > created[0].created_at
    assert (await cache.replace(CACHE_ENTRY.build(keys[1], tags=[tag]), create=True)).key == keys[1]
    assert await cache.get(keys[0]) == anew
    stats = await cache.stats()
    assert stats.entries == before.entries + 4
    assert stats.expirations > before.expirations
    assert await cache.invalidate(tag=tag) == 4


async def test_every_write_starts_the_time_anew(service: CRUDServiceContract) -> None:
    cache, key = service.cache, new_id()
    await cache.create(CACHE_ENTRY.build(key, ttl=3))
    await asyncio.sleep(1.6)
    await cache.patch(key, {"tags": ["touched"]})
    await asyncio.sleep(1.6)
    assert (await cache.get(key)).tags == ["touched"]
    await cache.delete(key)


async def test_time_to_live_can_be_changed(service: CRUDServiceContract) -> None:
    cache = service.cache
    shorter = await cache.create(CACHE_ENTRY.build(new_id(), ttl=600))
    longer = await cache.create(CACHE_ENTRY.build(new_id(), ttl=1))
    endless = await cache.create(CACHE_ENTRY.build(new_id(), ttl=1))
    await cache.patch(shorter.key, {"ttl": 1})
    assert (await cache.patch(longer.key, {"ttl": None})).ttl == 3600
    await cache.replace(CACHE_ENTRY.build(endless.key, ttl=None))
    await asyncio.sleep(1.05)
    with pytest.raises(ResourceNotFound):
        await cache.get(shorter.key)
    assert (await cache.get(longer.key)).ttl == 3600
    assert (await cache.get(endless.key)).ttl is None


async def test_longest_time_to_live_is_kept(service: CRUDServiceContract) -> None:
    longest = 10 * 365 * 24 * 3600
    entry = await service.cache.create(CACHE_ENTRY.build(new_id(), ttl=longest))
    assert (await service.cache.get(entry.key)).ttl == longest
    for ttl in (longest + 1, 0, -1, 2**70):
        with pytest.raises(ValidationFailed):
            await service.cache.patch(entry.key, {"ttl": ttl})


async def test_tags_are_kept_in_order_and_followed_when_they_change(service: CRUDServiceContract) -> None:
    cache, one, two = service.cache, new_id(), new_id()
    entry = await cache.create(CACHE_ENTRY.build(new_id(), tags=[two, one, two]))
    assert (await cache.get(entry.key)).tags == [two, one, two]
    assert await keys_with(service, one) == await keys_with(service, two) == [entry.key]
    await cache.patch(entry.key, {"tags": [one]})
    assert (await keys_with(service, one), await keys_with(service, two)) == ([entry.key], [])
    await cache.replace(CACHE_ENTRY.build(entry.key, tags=[]))
    assert await keys_with(service, one) == []
    await cache.patch(entry.key, {"tags": [one]})
    await cache.delete(entry.key)
    await cache.create(CACHE_ENTRY.build(entry.key, tags=[]))
    assert await keys_with(service, one) == []


async def test_invalidation_removes_what_bears_the_tag(service: CRUDServiceContract) -> None:
    cache, tag = service.cache, f"a&b=#?/ +%41 \u00e9\U0001f600,{new_id()}"
    marked = [await cache.create(CACHE_ENTRY.build(new_id(), tags=["x", tag])) for _ in range(3)]
    others = [await cache.create(CACHE_ENTRY.build(new_id(), tags=tags)) for tags in ([], [tag + "x"], [tag.upper()])]
    assert await cache.invalidate(tag=tag) == 3
    for entry in marked:
        with pytest.raises(ResourceNotFound):
            await cache.get(entry.key)
    for entry in others:
        assert await cache.get(entry.key) == entry
    assert await cache.invalidate(tag=tag) == 0


async def test_invalidation_removes_what_belongs_to_the_service(service: CRUDServiceContract) -> None:
    cache, owner = service.cache, f"svc & more {new_id()}"
    for number in range(3):
        await cache.create(CACHE_ENTRY.build(f"{owner[-32:]}/{number}", service=owner))
    other = await cache.create(CACHE_ENTRY.build(new_id(), service=f"{owner}x"))
    assert await cache.invalidate(service=owner) == 3
    assert await cache.invalidate(service=owner) == 0
    assert await cache.get(other.key) == other


async def test_invalidation_by_tag_and_service_needs_both(service: CRUDServiceContract) -> None:
    cache, tag, owner = service.cache, new_id(), new_id()
    both = await cache.create(CACHE_ENTRY.build(new_id(), tags=[tag], service=owner))
    tagged = await cache.create(CACHE_ENTRY.build(new_id(), tags=[tag]))
    owned = await cache.create(CACHE_ENTRY.build(new_id(), service=owner))
    assert await cache.invalidate(tag=tag, service=owner) == 1
    with pytest.raises(ResourceNotFound):
        await cache.get(both.key)
    assert [await cache.get(entry.key) for entry in (tagged, owned)] == [tagged, owned]


async def test_cache_is_never_emptied_by_accident(service: CRUDServiceContract) -> None:
    entry = await service.cache.create(CACHE_ENTRY.build(new_id()))
    with pytest.raises(ValidationFailed) as caught:
        await service.cache.invalidate()
    assert caught.value.errors
    assert await service.cache.get(entry.key) == entry


async def test_invalidation_by_what_is_no_name_is_refused(service: CRUDServiceContract) -> None:
    entry = await service.cache.create(CACHE_ENTRY.build(new_id()))
    for bad in ("", "a\x00b", "x" * 256):
        with pytest.raises(ValidationFailed):
            await service.cache.invalidate(tag=bad)
        with pytest.raises(ValidationFailed):
            await service.cache.invalidate(service=bad)
    assert await service.cache.get(entry.key) == entry


async def test_statistics_count_reads_of_one_entry(service: CRUDServiceContract) -> None:
    cache, key = service.cache, new_id()
    before = await cache.stats()
    await cache.create(CACHE_ENTRY.build(key))
    for _ in range(3):
        await cache.get(key)
    for _ in range(2):
        with pytest.raises(ResourceNotFound):
            await cache.get(new_id())
    await cache.list(PaginationParams(limit=1))
    await cache.patch(key, {"service": "another"})
    await cache.delete(key)
    after = await cache.stats()
    assert (after.hits - before.hits, after.misses - before.misses) == (3, 2)


async def test_statistics_asked_for_at_once_agree(service: CRUDServiceContract) -> None:
    """What was read before they were asked for is counted in each."""
    before = await service.cache.stats()
    for _ in range(5):
        with pytest.raises(ResourceNotFound):
            await service.cache.get(new_id())
    several: list[CacheStats] = await asyncio.gather(*(service.cache.stats() for _ in range(8)))
    assert [stats.misses - before.misses for stats in several] == [5] * 8


async def test_statistics_measure_what_is_there(service: CRUDServiceContract) -> None:
    cache, key = service.cache, new_id()
    before = await cache.stats()
    await cache.create(CacheEntry(key=key, value="\u00e9" * 1000))
    filled = await cache.stats()
    assert filled.entries == before.entries + 1
    assert 2000 < filled.bytes - before.bytes < 2500, "bytes, not characters"
    await cache.replace(CacheEntry(key=key, value=""))
    shrunk = await cache.stats()
    assert shrunk.entries == before.entries + 1
    assert 0 < shrunk.bytes - before.bytes < 500
    await cache.delete(key)
    emptied = await cache.stats()
    assert (emptied.entries, emptied.bytes) == (before.entries, before.bytes)
