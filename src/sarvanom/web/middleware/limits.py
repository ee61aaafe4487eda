"""How much a caller may ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.security.limits import LimitPolicy, LimitRules, RouteClass, Rule, caller_of, demand_of, route_class
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import RateLimited
from sarvanom.shared.observations import LimitDecided, tell
from sarvanom.shared.quotas import Charge, Demand, Quota
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.calls import Headers
from sarvanom.web.limit_headers import limit_headers
from sarvanom.web.paced_body import paced
from sarvanom.web.sent_answer import sent_answer

_MAX_DIGITS: Final = 15


class LimitMiddleware:
    """Counts each request of a principal, or of an address if there is none, and refuses those beyond the limits.

    A body whose length is declared is counted before it is read. Any other, and one of lines, is counted as it comes in
    and let in no faster than the limit allows: an import is slowed down and not broken off.

    Raises `RateLimited`. Answers, also that to the error, tell what is left.
    """

    def __init__(
        self,
        app: ASGIApp,
        store: LimitStore,
        policy: LimitPolicy,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._store = store
        self._rules = LimitRules(policy)
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found, rule, caller, size, is_streamed = self._judge(scope)
        demand = demand_of(rule, caller, 0 if is_streamed else size)
        verdict = await self._store.admit(demand)
        sent, send = sent_answer(scope, send)
        sent.added.update(limit_headers(rule, verdict))
        if verdict.refused_by is not None:
            tell(LimitDecided(found, "refused", verdict.refused_by.name))
            raise _refusal(verdict.refused_by, verdict.retry_in)
        tell(LimitDecided(found, "admitted", "none"))
        if is_streamed and rule.bytes is not None:
            receive = paced(receive, self._store, rule.bytes, caller, self._sleep)
        try:
            await self._app(scope, receive, send)
        finally:
            self._store.release(demand)

    def _judge(self, scope: Scope) -> tuple[RouteClass, Rule, str, int, bool]:
        """Return the class of the request, which rule holds, for whom, how long the body is, and if it is streamed."""
        accept = content_type = b""
        size = 0
        is_streamed = not scope["http_version"].startswith("1")
        for name, value in scope["headers"]:
            if name == b"accept":
                accept += value
            elif name == b"content-type":
                content_type += value
            elif name == b"content-length":
                size = int(value) if value.isdigit() and len(value) <= _MAX_DIGITS else 0
            elif name == b"transfer-encoding":
                is_streamed = True
        found = route_class(scope["method"], scope["path"], accept, content_type)
        principal: Principal | None = scope.get(PRINCIPAL)
        client = scope["client"]
        caller = caller_of(principal, client[0] if client else None)
        is_streamed = is_streamed or (found is RouteClass.BULK and size > 0)
        return found, self._rules.rule(found, principal), caller, size, is_streamed


class StrangerLimit:
    """Counts credentials of which crud has to be asked for the first time: as many as anonymous requests, by address.

    They are counted apart, so that whoever has none cannot keep those out who have a good one, and by each gateway
    alone. One that turns out to be good for nothing is an anonymous request too.
    """

    def __init__(self, store: LimitStore, policy: LimitPolicy) -> None:
        self._store = store
        quota = LimitRules(policy).rule(RouteClass.READS, None).requests
        self._rule = Rule(quota, None, None)

    async def __call__(self, scope: Scope) -> Callable[[], None]:
        """Count one, and return what takes that back; raises `RateLimited`."""
        quota, client = self._rule.requests, scope["client"]
        if quota is None:
            return lambda: None
        key = f"strangers:{caller_of(None, client[0] if client else None)}"
        demand = Demand((Charge(quota, key),), is_local=True)
        verdict = await self._store.admit(demand)
        if verdict.refused_by is not None:
            tell(LimitDecided("strangers", "refused", quota.name))
            raise _refusal(quota, verdict.retry_in, limit_headers(self._rule, verdict))
        return partial(self._store.withdraw, demand)


def _refusal(quota: Quota, seconds: int, headers: Headers | None = None) -> RateLimited:
    return RateLimited(
        f"No more of the quota {quota.name!r} is left; try again in {seconds} s",
        headers={"Retry-After": str(seconds)} | {name.decode(): value.decode() for name, value in headers or ()},
    )
