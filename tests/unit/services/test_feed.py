"""The feed: one reading of the log for all watchers, who resume, lag, outlive outages and leave nothing behind."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import orjson
import pytest
from structlog.testing import capture_logs

from sarvanom.services.crud.feed import Feed
from sarvanom.services.crud.ring import BATCH_BYTES, Ring
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import RevisionCompacted, ServiceUnavailable, ValidationFailed
from sarvanom.shared.observations import ErrorUnforeseen, listen
from tests.unit.services.played_log import PlayedLog

EVERYTHING = ChangeQuery()


class Watcher:
    """Takes frames apart as a client does."""

    def __init__(self, chunks: AsyncGenerator[bytes]) -> None:
        self.chunks = chunks
        self.last_id = ""
        self.seen: list[int] = []
        self.comments: list[int] = []
        self._rest = b""

    async def until(self, revision: int) -> list[int]:
        """Read until a change with this revision; return all that were seen."""
        while revision not in self.seen:
            await self.take()
        return self.seen

    async def take(self) -> bytes:
        """Read one chunk."""
        async with asyncio.timeout(5):
            chunk = await anext(self.chunks)
        return self.read(chunk)

    def read(self, chunk: bytes) -> bytes:
        """Take a chunk apart, and return it."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
            self.last_id = fields.get(b"id", self.last_id.encode()).decode()
            if b"data" in fields:
                assert fields[b"event"] == b"change"
                assert orjson.loads(fields[b"data"])["revision"] == int(self.last_id)
                self.seen.append(int(self.last_id))
            else:
                self.comments.append(int(fields[b""]))
        return chunk


@asynccontextmanager
async def watching(feed: Feed, query: ChangeQuery = EVERYTHING) -> AsyncIterator[Watcher]:
    position = await feed.begin(query)
    async with aclosing(feed.watch(query, position)) as chunks:
        watcher = Watcher(chunks)
        await watcher.take()
        yield watcher


async def test_stream_opens_with_its_position_and_the_head() -> None:
    feed = Feed(PlayedLog(7))
    async with watching(feed, ChangeQuery(since=3)) as watcher:
        assert (watcher.last_id, watcher.comments, watcher.seen) == ("3", [7], [])
    async with watching(feed) as watcher:
        assert (watcher.last_id, watcher.comments) == ("7", [7])


async def test_watch_begins_at_the_present_and_is_told_what_comes() -> None:
    log = PlayedLog(7)
    async with watching(Feed(log)) as watcher:
        for _ in range(3):
            log.append()
        assert await watcher.until(10) == [8, 9, 10]


async def test_watch_that_resumes_is_told_everything_once() -> None:
    log = PlayedLog(1_000)
    async with watching(Feed(log), ChangeQuery(since=10)) as watcher:
        await watcher.until(300)
        for _ in range(50):
            log.append()
        assert await watcher.until(1_050) == list(range(11, 1_051))


@pytest.mark.parametrize(("since", "error"), [(4, RevisionCompacted), (8, ValidationFailed)])
async def test_position_that_cannot_be_served_is_refused_before_the_stream(since: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await Feed(PlayedLog(7, floor=5)).begin(ChangeQuery(since=since))


async def test_new_watch_is_refused_while_the_database_is_away() -> None:
    log = PlayedLog(7)
    log.is_away = True
    with pytest.raises(ServiceUnavailable):
        await Feed(log).begin(EVERYTHING)


async def test_thousand_watchers_cost_one_reading() -> None:
    log = PlayedLog(3)
    feed = Feed(log)
    watchers = [Watcher(feed.watch(EVERYTHING, await feed.begin(EVERYTHING))) for _ in range(1_000)]
    await asyncio.gather(*(watcher.take() for watcher in watchers))
    reading = [asyncio.create_task(watcher.until(13)) for watcher in watchers]
    for _ in range(10):
        log.append()
        await asyncio.sleep(0)
    assert all(seen == list(range(4, 14)) for seen in await asyncio.gather(*reading))
    assert len(log.pages) <= 10
    for watcher in watchers:
        await watcher.chunks.aclose()


async def test_watcher_behind_the_ring_reads_the_log_until_it_has_caught_up() -> None:
    log = PlayedLog()
    feed = Feed(log, ring=Ring(max_changes=5))
    async with watching(feed) as idle, watching(feed) as lagging:
        for _ in range(300):
            log.append()
        await idle.until(300)
        assert await lagging.until(300) == list(range(1, 301))
        pages = len(log.pages)
        log.append()
        assert (await lagging.until(301))[-1] == 301
        assert len(log.pages) == pages + 1


async def test_heartbeat_comes_while_nothing_happens() -> None:
    async with watching(Feed(PlayedLog(7), heartbeat=0.02)) as watcher:
        assert [await watcher.take() for _ in range(3)] == [b": 7\n\n"] * 3


async def test_heartbeat_moves_a_reader_past_what_did_not_match() -> None:
    log = PlayedLog(7)
    async with watching(Feed(log, heartbeat=0.05), ChangeQuery(collection="users")) as watcher:
        for _ in range(5):
            log.append()
        await watcher.take()
        assert (watcher.last_id, watcher.comments[-1], watcher.seen) == ("12", 12, [])
        assert await watcher.take() == b": 12\n\n"


async def test_reader_far_behind_is_moved_too() -> None:
    log = PlayedLog(500)
    async with watching(Feed(log, heartbeat=0.05), ChangeQuery(since=0, collection="users")) as watcher:
        await watcher.take()
        assert watcher.last_id == "500"


async def test_outage_ends_no_watch() -> None:
    log = PlayedLog(7)
    with capture_logs() as lines:
        async with watching(Feed(log, heartbeat=0.05)) as watcher, watching(Feed(log), ChangeQuery(since=0)) as other:
            log.is_away = True
            log.append()
            for _ in range(3):
                assert (await watcher.take()).startswith(b": ")
            log.is_away = False
            assert await watcher.until(8) == [8]
            assert await other.until(8) == list(range(1, 9))
    assert [line["event"] for line in lines].count("the feed has to wait") <= 2


async def test_watch_ends_when_the_log_is_compacted_past_it() -> None:
    log = PlayedLog(1_000)
    async with watching(Feed(log), ChangeQuery(since=0)) as watcher:
        await watcher.until(200)
        log.floor = 900
        with pytest.raises(StopAsyncIteration):
            await watcher.until(-1)
    assert watcher.seen == list(range(1, 201))


async def test_feed_itself_goes_on_from_the_floor() -> None:
    """It was away for so long that what comes next for it is gone."""
    log = PlayedLog(5)
    feed = Feed(log, heartbeat=0.05)
    async with watching(feed) as behind:
        log.is_away = True
        await behind.take()
        for _ in range(5):
            log.append()
        log.floor = 8
        log.is_away = False
        with pytest.raises(StopAsyncIteration):
            await behind.until(-1)
        async with watching(feed, ChangeQuery(since=8)) as resumed:
            assert await resumed.until(10) == [9, 10]


async def test_large_change_is_sent_in_pieces() -> None:
    log = PlayedLog()
    async with watching(Feed(log)) as watcher:
        log.append(body=b'"%s"' % (b"x" * 300_000))
        pieces = 0
        while not watcher.seen:
            assert len(await watcher.take()) <= 65_536
            pieces += 1
        assert pieces > 4


async def test_log_is_not_read_when_nobody_watches() -> None:
    log = PlayedLog()
    feed = Feed(log)
    async with watching(feed):
        pass
    await asyncio.sleep(0)
    log.append()
    await asyncio.sleep(0.01)
    assert log.pages == []
    async with watching(feed) as watcher:
        log.append()
        assert await watcher.until(2) == [2]


async def test_watch_that_was_never_begun_holds_nothing() -> None:
    log = PlayedLog()
    feed = Feed(log)
    await feed.watch(EVERYTHING, 0).aclose()
    await asyncio.sleep(0)
    assert log.waits == 0


async def test_defect_is_told_of_and_the_feed_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    log = PlayedLog()
    failing = [ZeroDivisionError()]
    wait = log.wait

    async def fail_once(since: int, seconds: float) -> int:
        if failing:
            raise failing.pop()
        return await wait(since, seconds)

    monkeypatch.setattr(log, "wait", fail_once)
    told: list[ErrorUnforeseen] = []
    end = listen(ErrorUnforeseen, told.append)
    async with watching(Feed(log)) as watcher:
        log.append()
        assert await watcher.until(1) == [1]
    end()
    assert [(type(one.error), one.work) for one in told] == [(ZeroDivisionError, "the feed")]


class StandingRing(Ring):
    """One that never gets anywhere."""

    def read(self, query: ChangeQuery, position: int) -> tuple[list[bytes], int]:
        return [], position


async def test_watch_that_gets_nowhere_keeps_nobody_waiting() -> None:
    log, ring = PlayedLog(7), StandingRing()
    async with watching(Feed(log, ring=ring)) as watcher:
        ring.end = 99
        waiting = asyncio.create_task(watcher.take())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_watcher_that_is_behind_asks_for_no_more_than_it_may_hold() -> None:
    log = PlayedLog()
    for _ in range(20):
        log.append(body=b'"%s"' % (b"x" * (BATCH_BYTES // 4)))
    async with watching(Feed(log), ChangeQuery(since=0)) as watcher:
        assert await watcher.until(20) == list(range(1, 21))
    assert len(log.pages) == 7


async def test_watch_ends_after_its_longest_time_and_is_resumed_where_it_was() -> None:
    log = PlayedLog(2)
    feed = Feed(log, heartbeat=0.01, longest=0.05)
    watcher = Watcher(feed.watch(ChangeQuery(since=0), 0))
    async with asyncio.timeout(5):
        async for chunk in watcher.chunks:
            watcher.read(chunk)
    assert (watcher.seen, watcher.last_id) == ([1, 2], "2")
    log.append()
    async with watching(feed, ChangeQuery(since=int(watcher.last_id))) as resumed:
        assert await resumed.until(3) == [3]
