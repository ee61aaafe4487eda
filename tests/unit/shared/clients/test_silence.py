"""The clock of a service's silence."""

import asyncio

from sarvanom.shared.clients.silence import SilenceTimer


class Service:
    """What the timer is told of a service."""

    def __init__(self, *, awaited: bool = True, unsent: int = 0) -> None:
        self.awaited = awaited
        self.unsent = unsent
        self.expired: list[float] = []
        self.loop = asyncio.get_running_loop()
        self.start = self.loop.time()

    def timer(self, seconds: float) -> SilenceTimer:
        return SilenceTimer(seconds, lambda: self.awaited, self.take, self.expire)

    def take(self) -> int:
        return self.unsent

    def expire(self) -> None:
        self.expired.append(self.loop.time() - self.start)


class Reading(Service):
    """A service that reads a little all the time."""

    def take(self) -> int:
        self.unsent -= 1
        return self.unsent


async def test_silence_expires_once() -> None:
    service = Service()
    service.timer(0.04)
    await asyncio.sleep(0.15)
    (after,) = service.expired
    assert after >= 0.04


async def test_sound_starts_it_anew() -> None:
    service = Service()
    timer = service.timer(0.2)
    for _ in range(20):
        await asyncio.sleep(0.02)
        timer.restart()
    assert service.expired == []
    timer.stop()


async def test_another_bound_counts_from_then_on() -> None:
    longer, shorter = Service(), Service()
    timers = [longer.timer(0.5), shorter.timer(60)]
    await asyncio.sleep(0.02)
    timers[0].allow(60)
    timers[1].allow(0.04)
    await asyncio.sleep(0.7)
    assert longer.expired == []
    (after,) = shorter.expired
    assert after >= 0.06
    timers[0].stop()


async def test_silence_of_whom_nobody_waits_for_does_not_count() -> None:
    service = Service(awaited=False)
    timer = service.timer(0.02)
    await asyncio.sleep(0.1)
    assert service.expired == []
    timer.stop()


async def test_reading_is_no_silence_and_not_to_read_is() -> None:
    reading, stuck = Reading(unsent=1_000), Service(unsent=1_000)
    timers = [service.timer(0.02) for service in (reading, stuck)]
    await asyncio.sleep(0.15)
    assert (len(reading.expired), len(stuck.expired)) == (0, 1)
    for timer in timers:
        timer.stop()


async def test_stopped_timer_does_not_expire() -> None:
    service = Service()
    timer = service.timer(0.01)
    timer.stop()
    timer.stop()
    await asyncio.sleep(0.04)
    assert service.expired == []
