"""One look at a dependency at a time, for all who ask, and no longer than its time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, NamedTuple

import structlog

from sarvanom.shared.errors import SarvanOMError

LOOK_SECONDS: Final = 2.0

_log = structlog.get_logger()


class Look[T](NamedTuple):
    """What was found, how long that took, and, if nothing was, why: in words that a stranger may read."""

    seconds: float
    value: T | None = None
    error: str | None = None


class Failure(NamedTuple):
    """What went wrong last, and when."""

    error: str
    at: datetime


class SharedLook[T]:
    """Asks, for all who want to know at the same time, once.

    What takes longer than `timeout` seconds has failed, and is cancelled; until it has really ended nothing is asked
    anew, and whoever wants to know is told at once since when there is no answer. So a dependency that hangs keeps
    nobody waiting, and has no more than one question to answer when it goes on.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[T]],
        *,
        timeout: float = LOOK_SECONDS,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.name = name
        self.last_failure: Failure | None = None
        self._ask = ask
        self._timeout = timeout
        self._clock = clock
        self._began = 0.0
        self._task: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[Look[T]] | None = None

    async def look(self, within: float | None = None) -> Look[T]:
        """Return what was found, or what is known after `within` seconds; never raises."""
        if self._task is not None and self._outcome is not None and self._outcome.done():
            seconds = self._clock() - self._began
            return Look(seconds, error=f"No answer for {seconds:.0f} s")
        if self._task is None or self._outcome is None:
            self._outcome = self._begin()
        outcome = self._outcome
        await asyncio.wait([outcome], timeout=within)
        if not outcome.done():
            return Look(within or 0.0, error=f"No answer within {within:g} s")
        return outcome.result()

    def _begin(self) -> "asyncio.Future[Look[T]]":
        loop = asyncio.get_running_loop()
        self._began = self._clock()
        outcome: asyncio.Future[Look[T]] = loop.create_future()
        # It is nobody's alone: no trace, and nothing else of who came first, goes with it.
        self._task = loop.create_task(self._run(outcome), name=f"look at {self.name}", context=Context())
        timer = loop.call_later(self._timeout, self._give_up, outcome, self._task)
        self._task.add_done_callback(lambda _: timer.cancel())
        return outcome

    async def _run(self, outcome: "asyncio.Future[Look[T]]") -> None:
        try:
            value = await self._ask()
        except TimeoutError:
            self._fail(outcome, "No answer in time")
        except SarvanOMError as error:
            self._fail(outcome, error.detail)
        except asyncio.CancelledError:
            self._fail(outcome, "Broken off")
            raise
        except Exception as error:  # noqa: BLE001 (whatever it was, the dependency is not well)
            _log.warning("health check failed", check=self.name, exc_info=error)
            self._fail(outcome, "Failed; the log says why")
        else:
            if not outcome.done():
                outcome.set_result(Look(self._clock() - self._began, value))
        finally:
            self._task = None

    def _give_up(self, outcome: "asyncio.Future[Look[T]]", task: "asyncio.Task[None]") -> None:
        self._fail(outcome, f"No answer within {self._timeout:g} s")
        task.cancel()

    def _fail(self, outcome: "asyncio.Future[Look[T]]", error: str) -> None:
        if not outcome.done():
            self.last_failure = Failure(error, datetime.now(UTC))
            outcome.set_result(Look(self._clock() - self._began, error=error))
