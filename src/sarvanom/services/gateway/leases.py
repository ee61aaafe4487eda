"""What a gateway has learned of crud, believed for no longer than a lease."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from sarvanom.shared.observations import LeaseState

MAX_REMEMBERED: Final = 10_000


class _Known[T](NamedTuple):
    """What was found out, None if there is nothing, and until when that may be used."""

    value: T | None
    until: float


class _Memory[T]:
    """The latest so many of what was found out."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, _Known[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str, now: float) -> _Known[T] | None:
        """Return what is known, unless it is too old."""
        known = self._known.get(name)
        if known is None:
            return None
        if known.until <= now:
            del self._known[name]
            return None
        self._known.move_to_end(name)
        return known

    def put(self, name: str, known: _Known[T]) -> None:
        """Remember, and forget what was not used for longest."""
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


class Leases[T]:
    """Answers to one kind of question, by what is asked for.

    A lease begins when the question is sent, so that what is revoked afterwards is refused within one lease. It is
    never extended: if crud is away when it ends, nobody is let in. Those who ask at the same time share one question,
    and what there is not is remembered apart from what there is, which it cannot push out.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[T | None]],
        *,
        lease: float,
        size: int = MAX_REMEMBERED,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._lease = lease
        self._monotonic = monotonic
        self._good = _Memory[T](size)
        self._bad = _Memory[T](size)
        self.hits = self.misses = 0
        self._asking: dict[str, asyncio.Task[_Known[T]]] = {}

    def recall(self, name: str) -> T | None:
        """Return what is known to be there by this name; None if that has to be asked for with `get`."""
        known = self._good.get(name, self._monotonic())
        return None if known is None else known.value

    async def get(self, name: str) -> T | None:
        """Return what there is by this name, None if there is nothing; raises whatever asking raises."""
        now = self._monotonic()
        known = self._good.get(name, now) or self._bad.get(name, now)
        if known is None:
            self.misses += 1
            known = await self._ask(name)
        else:
            self.hits += 1
        return known.value

    def report(self, kind: str) -> LeaseState:
        """Tell how much is remembered, and how often that was enough."""
        return LeaseState(kind, len(self._good) + len(self._bad), self.hits, self.misses)

    async def _ask(self, name: str) -> _Known[T]:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._find_out(name))
            task.add_done_callback(lambda done: self._forget_question(name, done))
        # Whoever goes away does not take the answer from the others.
        return await asyncio.shield(task)

    def _forget_question(self, name: str, done: asyncio.Task[_Known[T]]) -> None:
        del self._asking[name]
        if not done.cancelled():
            done.exception()  # perhaps nobody waits for it any more

    async def _find_out(self, name: str) -> _Known[T]:
        until = self._monotonic() + self._lease
        known = _Known(await self._find(name), until)
        (self._bad if known.value is None else self._good).put(name, known)
        return known
