"""Asking services from outside, none of them for longer than a few seconds."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ValidationError

from sarvanom.cli.clients import accepts_connections
from sarvanom.cli.monitoring.readings import UNREACHABLE, parse_scrape
from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Headers, Request, Response, Transport
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.web.health import DETAILED_PATH
from sarvanom.web.health_models import HealthReport, Readiness, Version

ASK_SECONDS: Final = 6.0
"""More than a service takes to find out that what it depends on hangs."""
_DATE_SECONDS: Final = 2.0
"""How old a Date header may be: it has whole seconds, and is made anew once a second."""
_ANSWERS: Final = (200, 503)

type Clock = Callable[[], float]


class State(StrEnum):
    """Who is at an address."""

    OURS = "ours"
    OTHER = "other"
    UNPROVEN = "unproven"
    """Something listens that does not prove by TLS that it is ours."""
    SILENT = "silent"
    ABSENT = "absent"


class Workers(NamedTuple):
    """How many workers of a service have answered one of them, itself included, and how many have not."""

    there: int
    silent: int


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who answered at `url` where a `service` should be; `skew` is how many seconds its clock is ahead at least.

    `workers` is None if it does not tell of them.
    """

    service: str
    url: str
    state: State
    version: str = ""
    skew: float = 0.0
    error: str = ""
    workers: Workers | None = None


class Reported(NamedTuple):
    """The detailed report of a gateway, or why there is none; `asked` and `answered` are this machine's times."""

    report: HealthReport | None
    error: SarvanOMError | None = None
    asked: float = 0.0
    answered: float = 0.0


async def greet(
    transport: Transport, service: str, url: str, clock: Clock = time.time, *, token: str | None = None
) -> Greeting:
    """Ask a service which it is, what time it has, and by a token for its metrics how its workers are; never raises."""
    asked = clock()
    try:
        answer = await _ask(transport, "/version")
        version = _parse(Version, answer)
    except UpstreamTimeout:
        return Greeting(service, url, State.SILENT)
    except UpstreamFailed as error:
        return Greeting(service, url, State.OTHER, error=error.detail)
    except ServiceUnavailable as error:
        state = State.ABSENT
        if await asyncio.to_thread(accepts_connections, url):
            state = State.UNPROVEN if url.startswith("https://") else State.OTHER
        return Greeting(service, url, state, error=error.detail)
    except SarvanOMError as error:
        return Greeting(service, url, State.OTHER, error=error.detail)
    if version.service != service:
        return Greeting(service, url, State.OTHER, error=f"it says that it is {version.service}")
    skew = _skew_of_date(answer.headers, asked, clock())
    workers = None if token is None else await _read_workers(transport, token)
    return Greeting(service, url, State.OURS, version.version, skew, workers=workers)


async def read_readiness(transport: Transport) -> Readiness:
    """Return what a service says of its dependencies; raises what kept it from that."""
    return _parse(Readiness, await _ask(transport, "/ready"))


async def read_report(transport: Transport, api_key: str | None, clock: Clock = time.time) -> Reported:
    """Return the detailed report of a gateway, or why there is none."""
    headers = [] if api_key is None else [(b"authorization", f"Bearer {api_key}".encode())]
    asked = clock()
    try:
        report = _parse(HealthReport, await _ask(transport, DETAILED_PATH, headers, statuses=(200,)))
    except SarvanOMError as error:
        return Reported(None, error)
    return Reported(report, None, asked, clock())


def skew_of(time: datetime, asked: float, answered: float, tolerance: float = 0.0) -> float:
    """Return by how many seconds at least a clock is ahead (negative: behind) that showed `time` in between.

    It was read at some time from `asked` to `answered`, and showed what it was up to `tolerance` seconds before. What
    says no offset is taken for UTC.
    """
    earliest = time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    if earliest > answered:
        return earliest - answered
    return min(0.0, earliest + tolerance - asked)


async def _read_workers(transport: Transport, token: str) -> Workers | None:
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"accept", b"text/plain; version=0.0.4")]
    try:
        answer = await _ask(transport, "/metrics", headers, statuses=(200,))
        readings = parse_scrape(answer.body.decode(errors="replace"), 0.0).workers.values()
    except (SarvanOMError, ValueError):
        return None
    return Workers(len(readings), round(sum(one.gauges.get((UNREACHABLE,), 0.0) for one in readings)))


async def _ask(
    transport: Transport, target: str, headers: Headers | None = None, statuses: tuple[int, ...] = _ANSWERS
) -> Response:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answer = await transport.send(Request("GET", target.encode(), headers or [], b""))
    except TimeoutError:
        raise UpstreamTimeout("No answer") from None
    if answer.status not in statuses:
        raise error_from_response(answer)
    return answer


def _parse[M: BaseModel](model: type[M], answer: Response) -> M:
    try:
        return model.model_validate_json(answer.body, extra="ignore")
    except ValidationError:
        if answer.status != 200:
            raise error_from_response(answer) from None
        raise UpstreamFailed("it does not answer as SarvanOM does") from None


def _skew_of_date(headers: Headers, asked: float, answered: float) -> float:
    for name, value in headers:
        if name.lower() == b"date":
            try:
                date = parsedate_to_datetime(value.decode("latin-1")).astimezone(UTC)
            except (ValueError, OverflowError):
                return 0.0
            return skew_of(date, asked, answered, _DATE_SECONDS)
    return 0.0
