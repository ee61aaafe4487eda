"""One look at a time, however many ask, however it hangs."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.web.shared_looks import Look, SharedLook


class Asked:
    """A question that is answered when the test says so."""

    def __init__(self) -> None:
        self.times = 0
        self.answered = asyncio.Event()

    async def __call__(self) -> int:
        self.times += 1
        await self.answered.wait()
        return self.times


async def test_all_who_ask_at_the_same_time_share_one_look() -> None:
    asked = Asked()
    shared = SharedLook("database", asked)
    looks = [asyncio.create_task(shared.look()) for _ in range(100)]
    await asyncio.sleep(0)
    asked.answered.set()
    assert {(look.value, look.error) for look in await asyncio.gather(*looks)} == {(1, None)}
    assert (await shared.look()).value == 2


async def test_who_gives_up_does_not_end_the_look_of_others() -> None:
    asked = Asked()
    shared = SharedLook("database", asked)
    first, second = (asyncio.create_task(shared.look()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    asked.answered.set()
    assert (await second).value == 1


async def test_who_is_in_a_hurry_is_told_that_there_is_no_answer_yet() -> None:
    asked = Asked()
    shared = SharedLook("database", asked)
    assert await shared.look(0.01) == Look(0.01, None, "No answer within 0.01 s")
    asked.answered.set()
    assert (await shared.look()).value == 1
    assert shared.last_failure is None


async def test_what_takes_too_long_is_cancelled_and_asked_anew() -> None:
    asked = Asked()
    shared = SharedLook("database", asked, timeout=0.01)
    assert (await shared.look()).error == "No answer within 0.01 s"
    await asyncio.sleep(0)
    asked.answered.set()
    look = await shared.look()
    assert (look.value, look.error) == (2, None)


async def test_what_cannot_be_cancelled_is_not_asked_again_before_it_ends() -> None:
    """As a thread that waits for a disk cannot."""
    ended = threading.Event()
    threads: list[str] = []

    def wait() -> None:
        threads.append(threading.current_thread().name)
        ended.wait()

    async def ask() -> str:
        work = asyncio.get_running_loop().run_in_executor(None, wait)
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                continue
        return "well"

    shared = SharedLook("database", ask, timeout=0.05, clock=lambda: 0.0)
    try:
        assert (await shared.look()).error == "No answer within 0.05 s"
        async with asyncio.timeout(10):
            looks = await asyncio.gather(*(shared.look() for _ in range(1000)))
        assert {look.error for look in looks} == {"No answer for 0 s"}
        assert len(threads) == 1
    finally:
        ended.set()
    async with asyncio.timeout(10):
        while (look := await shared.look()).error is not None:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)
    assert look.value == "well"
    assert shared.last_failure is not None
    assert shared.last_failure.error == "No answer within 0.05 s"


async def raise_secret() -> None:
    raise ValueError("postgresql://user:hunter2@db")


async def raise_deliberately() -> None:
    raise ServiceUnavailable("The database is away")


async def raise_timeout() -> None:
    raise TimeoutError


async def cancel_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (raise_deliberately, "The database is away"),
        (raise_secret, "Failed; the log says why"),
        (raise_timeout, "No answer in time"),
        (cancel_itself, "Broken off"),
    ],
)
async def test_what_went_wrong_last_is_remembered_and_tells_no_secret(
    ask: Callable[[], Awaitable[None]], error: str
) -> None:
    is_well = False

    async def look() -> None:
        if not is_well:
            await ask()

    shared = SharedLook("database", look)
    with capture_logs() as lines:
        assert (await shared.look()).error == error
    assert [line["check"] for line in lines] == (["database"] if ask is raise_secret else [])
    is_well = True
    assert (await shared.look()).error is None
    assert shared.last_failure is not None
    assert shared.last_failure.error == error
    assert datetime.now(UTC) - shared.last_failure.at < timedelta(seconds=10)
