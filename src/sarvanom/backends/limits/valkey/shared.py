"""Limits that all gateways share through Valkey, and that each counts alone while Valkey is away."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Final

import orjson
import structlog

from sarvanom.backends.limits.contract import MEMBER_SECONDS, MOST_MEMBERS, LimitCounts, LimitStore
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.backends.limits.valkey.connection import LimitsAway, ValkeyScripts
from sarvanom.backends.limits.valkey.groups import LEASE_SECONDS, Asked, read_verdicts, take_group, write_group
from sarvanom.backends.limits.valkey.scripts import DECIDE, REMEMBER, STRIKE
from sarvanom.backends.limits.windows import Recent
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.quotas import Balance, Demand, Penalty, Quota, Verdict

_BEAT_SECONDS: Final = LEASE_SECONDS / 3
_PAUSE_SECONDS: Final = 0.5
_FLUSH_SECONDS: Final = 0.05
_REFUSAL_SECONDS: Final = 62
_MOST_REFUSALS: Final = 32_768

_log = structlog.get_logger()


class SharedLimits(LimitStore):
    """Asks Valkey about every demand that its own count allows.

    So a gateway never admits more than a quota, whatever happens to Valkey, and all of them together do not while it is
    there. Demands that come while a call is under way are asked about together in the next one.
    """

    def __init__(
        self,
        scripts: ValkeyScripts,
        *,
        clock: Callable[[], float] = time.monotonic,
        server_clock: Callable[[], float] | None = None,
    ) -> None:
        """Take the connection; `server_clock` goes before the server's own."""
        self.counts = LimitCounts()
        self.is_shared = False
        self._scripts = scripts
        self._local = MemoryLimits(clock)
        self._clock = clock
        self._server_clock = server_clock
        self._me = secrets.token_hex(8)
        self._waiting: list[Asked] = []
        self._changed: set[str] = set()
        self._refusals = Recent[tuple[int, Quota]](_REFUSAL_SECONDS, _MOST_REFUSALS)
        self._lost = asyncio.Event()
        self._was_lost = False
        self._sender: asyncio.Task[None] | None = None
        self._attendant: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect, and from now on come back whenever the connection is lost."""
        await self._connect()
        self._attendant = asyncio.create_task(self._attend(), context=Context())

    async def check(self) -> None:
        """See that Valkey answers; if it does not, this gateway counts alone until it does."""
        if self.is_shared:
            try:
                await self._scripts.ping()
            except LimitsAway as error:
                self._lose(str(error))
        if not self.is_shared:
            raise ServiceUnavailable("Valkey does not answer; this gateway counts alone meanwhile")

    async def admit(self, demand: Demand) -> Verdict:
        """Decide alone what the own count refuses, or what nobody else can be asked about; else ask."""
        verdict = self._remembered_refusal(demand) or self._local.decide(demand)
        if verdict.refused_by is None and not demand.is_local:
            verdict = await self._ask(demand, verdict)
        if verdict.refused_by is None:
            self.counts.admitted += 1
        else:
            self.counts.refused += 1
        return verdict

    def release(self, demand: Demand) -> None:
        """Give the place back here at once, and soon to all."""
        self._local.release(demand)
        self._note_change(demand)

    def withdraw(self, demand: Demand) -> None:
        """Give everything back here; raises `ValueError` if the others know of it."""
        if not demand.is_local:
            raise ValueError("What all gateways have counted cannot be withdrawn")
        self._local.withdraw(demand)

    async def strike(self, key: str, penalty: Penalty) -> float:
        """Count for all gateways, and here for when Valkey is away."""
        answer = await self._ask_about_strikes(key, penalty)
        if answer is None:
            return await self._local.strike(key, penalty)
        if answer == 0:
            await self._local.strike(key, penalty)
        return answer

    async def pardon(self, key: str, penalty: Penalty, *, all_of_them: bool) -> None:
        """Forget at all gateways, and here."""
        await self._local.pardon(key, penalty, all_of_them=all_of_them)
        await self._ask_about_strikes(key, penalty, pardon="all" if all_of_them else "one")

    async def remember(self, key: str, member: str) -> None:
        """Remember at all gateways, and here."""
        await self._local.remember(key, member)
        await self._run_script(REMEMBER, key=key, member=member, seconds=MEMBER_SECONDS, most=MOST_MEMBERS)

    async def remembers(self, key: str, member: str) -> bool:
        """Ask all gateways, or, while Valkey is away, this one."""
        answer = await self._run_script(REMEMBER, key=key, member=member)
        return await self._local.remembers(key, member) if answer is None else answer > 0

    async def aclose(self) -> None:
        """Close the connection; who waits is decided about here."""
        self.is_shared = False
        if self._flush is not None:
            self._flush.cancel()
        tasks = [task for task in (self._attendant, self._sender) if task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._scripts.aclose()

    async def _ask(self, demand: Demand, alone: Verdict) -> Verdict:
        """Return the verdict of all gateways, or that of this one if the others cannot be asked."""
        if not self.is_shared:
            self.counts.decided_alone += 1
            return alone
        asked = Asked(demand, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._send_soon()
        try:
            verdict = await asked.verdict
        except LimitsAway:
            self.counts.decided_alone += 1
            return alone
        except BaseException:
            self._take_back(demand)
            raise
        if verdict.refused_by is not None:
            self._take_back(demand)
            self._remember_refusal(demand, verdict)
        return verdict

    def _take_back(self, demand: Demand) -> None:
        self._local.withdraw(demand)
        self._note_change(demand)

    def _remembered_refusal(self, demand: Demand) -> Verdict | None:
        """Return the refusal that Valkey would give again: nothing comes back to a window before its time."""
        second = int(self._clock())
        for charge in demand.charges:
            known = self._refusals.get(charge.key, second)
            if known is not None and known[0] > second:
                left = known[0] - second
                return Verdict((Balance(known[1], 0, left),), known[1], left)
        return None

    def _remember_refusal(self, demand: Demand, verdict: Verdict) -> None:
        second = int(self._clock())
        for charge in demand.charges:
            if charge.quota is verdict.refused_by and charge.amount == 1:
                self._refusals.put(charge.key, (second + verdict.retry_in, charge.quota), second)

    def _note_change(self, demand: Demand) -> None:
        """Tell the others soon how many places are held here: with the next call, or in one of its own."""
        if demand.place is not None and not demand.is_local and self.is_shared:
            self._changed.add(demand.place.key)
            self._flush_later()

    def _flush_later(self) -> None:
        if self._sender is None and self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._changed:
            self._send_soon()

    def _send_soon(self) -> None:
        if self._sender is None:
            self._sender = asyncio.create_task(self._send(), context=Context())

    async def _send(self) -> None:
        """Ask about all that waits, a group at a time."""
        group: list[Asked] = []
        try:
            while True:
                group = take_group(self._waiting)
                await self._send_group(group)
                if not self._waiting:
                    break
        except (LimitsAway, ValueError) as error:
            self._lose(str(error))
        finally:
            for asked in (*group, *self._waiting):
                if not asked.verdict.done():
                    asked.verdict.set_exception(LimitsAway())
            self._waiting.clear()
            self._sender = None
            if self._changed:
                self._flush_later()

    async def _send_group(self, group: list[Asked]) -> None:
        changed, self._changed = self._changed, set()
        now = None if self._server_clock is None else int(self._server_clock())
        call = write_group(group, changed, held=self._local.held, me=self._me, now=now)
        answer = await self._scripts.run(DECIDE, call)
        if not group:
            return
        for asked, verdict in zip(group, read_verdicts(group, answer), strict=True):
            if not asked.verdict.done():
                asked.verdict.set_result(verdict)

    async def _ask_about_strikes(self, key: str, penalty: Penalty, **more: str) -> float | None:
        call: dict[str, Any] = {"key": key, "free": penalty.free, "first": penalty.first, "longest": penalty.longest}
        return await self._run_script(STRIKE, **call, memory=penalty.memory, **more)

    async def _run_script(self, script: str, **call: Any) -> float | None:
        """Return what a script answers, or None if Valkey is away."""
        if not self.is_shared:
            return None
        if self._server_clock is not None:
            call["now"] = self._server_clock()
        try:
            return float(await self._scripts.run(script, orjson.dumps(call)))
        except (LimitsAway, ValueError) as error:
            self._lose(str(error))
            return None

    async def _attend(self) -> None:
        """Renew the places that are held, and come back when Valkey does."""
        while True:
            if self.is_shared:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_SECONDS):
                        await self._lost.wait()
                self._renew()
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
                await self._connect()

    def _renew(self) -> None:
        if self.is_shared:
            self._changed.update(self._local.places())
            self._send_soon()

    async def _connect(self) -> None:
        try:
            await self._scripts.open()
        except LimitsAway as error:
            self._lose(str(error))
            return
        self.is_shared = True
        self._lost.clear()
        self._refusals = Recent(_REFUSAL_SECONDS, _MOST_REFUSALS)
        if self._was_lost:
            self._was_lost = False
            _log.info("limits are shared again")
        self._renew()

    def _lose(self, cause: str) -> None:
        self.is_shared = False
        self._lost.set()
        self._changed.clear()
        if not self._was_lost:
            self._was_lost = True
            self.counts.outages += 1
            _log.warning("limits are not shared: valkey is away", cause=cause)
