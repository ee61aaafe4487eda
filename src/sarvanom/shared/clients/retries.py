"""Retries what is safe to retry, with exponential backoff, full jitter and respect for `Retry-After`."""

import asyncio
import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.observations import Reason, UpstreamRetried, tell

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY: Final = b"idempotency-key"
_CONDITIONS: Final = frozenset({b"if-match", b"if-none-match"})
_NOT_CARRIED_OUT: Final = frozenset({429, 503})
_PERHAPS_CARRIED_OUT: Final = frozenset({502, 504})
_IN_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a retry: at random up to a bound that doubles each time.

    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. Times are in seconds.
    """

    initial: float = 0.05
    longest: float = 2.0

    def bound(self, retry: int) -> float:
        """Return the longest wait before a retry; the first is number 0."""
        return min(self.longest, self.initial * 2.0 ** min(retry, 32))


@dataclass(frozen=True, slots=True)
class RetryEnvironment:
    """What retries take from outside: time, sleep, and a random number from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class RetryingTransport(Transport):
    """Sends a request up to `attempts` times over another transport, which it owns.

    Retried is any request that was not carried out: it could not be sent, or was answered 429, or 503, by which our
    services promise just that, or 409 with `Retry-After`: a request with the same idempotency key is being carried
    out just now, and its answer can be had then. Where it is unknown (broken off, timed out, 502, 504), what reads, a
    PUT without conditions, and what has an idempotency key, to which the service gives the first try's answer again;
    any other would report 404, 409 or 412 for what the first try had done. Streams are not retried: what is taken
    from the source of a body is gone, and so is what was read of an answer.

    A wait that would end more than `total_timeout` seconds after the start, also one that `Retry-After` asks for, is
    not begun: the caller gets the answer, or error, as it is.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        attempts: int = 4,
        total_timeout: float = 30.0,
        backoff: Backoff | None = None,
        environment: RetryEnvironment | None = None,
    ) -> None:
        self._inner = inner
        self._attempts = attempts
        self._total_timeout = total_timeout
        self._backoff = backoff or Backoff()
        self._environment = environment or RetryEnvironment()
        self._monotonic = self._environment.monotonic

    async def send(self, request: Request) -> Response:
        """Return the last answer, or raise the last error; of a write, the last that says whether it was carried out.

        Raises:
            ServiceUnavailable: the request was not carried out.
            UpstreamFailed, UpstreamTimeout: perhaps it was; a later try that was not carried out changes nothing of it.
        """
        end = self._monotonic() + self._total_timeout
        retry = 0
        doubt: UpstreamFailed | UpstreamTimeout | None = None
        while True:
            try:
                response = await self._inner.send(request)
            except ServiceUnavailable:
                reason: Reason = "unavailable"
                wait = self._wait(retry, end)
                if wait is None:
                    if doubt is not None:
                        raise doubt from None
                    raise
            except (UpstreamFailed, UpstreamTimeout) as error:
                reason = "timeout" if isinstance(error, UpstreamTimeout) else "failed"
                doubt = error if request.method not in _READING else None
                wait = self._wait(retry, end) if is_repeatable(request) else None
                if wait is None:
                    raise
            else:
                if response.status < _IN_CONFLICT or not _may_retry(request, response):
                    return response
                reason = "answer"
                wait = self._wait(retry, end, response)
                if wait is None:
                    if doubt is not None and response.status in {*_NOT_CARRIED_OUT, _IN_CONFLICT}:
                        raise doubt
                    return response
                if response.status in _PERHAPS_CARRIED_OUT and request.method not in _READING:
                    doubt = UpstreamFailed("The service did not say whether it acted")
            tell(UpstreamRetried(reason))
            retry += 1
            await self._environment.sleep(wait)

    def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Pass it on, once."""
        return self._inner.stream(request, body)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def _wait(self, retry: int, end: float, response: Response | None = None) -> float | None:
        """Return the seconds to wait before this retry, or None if there is to be none."""
        if retry + 1 >= self._attempts:
            return None
        wait = self._backoff.bound(retry) * self._environment.random()
        asked = response.header(b"retry-after") if response is not None else None
        if asked is not None:
            wait += parse_retry_after(asked, self._environment.now())
        return wait if self._monotonic() + wait < end else None


def is_repeatable(request: Request) -> bool:
    """Tell whether sending the request twice does and answers the same as sending it once."""
    names = {name for name, _ in request.headers}
    if _KEY in names:
        return True
    if request.method == "PUT":
        return names.isdisjoint(_CONDITIONS)
    return request.method in _READING


def parse_retry_after(value: bytes, now: datetime) -> float:
    """Return the seconds that a `Retry-After` asks for (RFC 9110, section 10.2.3); 0 if it cannot be read."""
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _may_retry(request: Request, response: Response) -> bool:
    if response.status in _PERHAPS_CARRIED_OUT:
        return is_repeatable(request)
    if response.status == _IN_CONFLICT:
        return response.header(b"retry-after") is not None
    return response.status in _NOT_CARRIED_OUT
