"""What is retried, when, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.clients.retries import Backoff, RetryEnvironment, RetryingTransport, parse_retry_after
from sarvanom.shared.clients.transport import Headers, Request, Response
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MATCH: Headers = [(b"if-match", b'"7"')]
NONE_MATCH: Headers = [(b"if-none-match", b"*")]
READING = [Request("GET", b"/"), Request("HEAD", b"/"), Request("OPTIONS", b"/"), Request("PUT", b"/")]
CHANGING = [
    Request("POST", b"/"),
    Request("PATCH", b"/"),
    Request("DELETE", b"/"),
    Request("PUT", b"/", MATCH),
    Request("PUT", b"/", NONE_MATCH),
]
KEY: Headers = [(b"idempotency-key", b"0123456789abcdef-1")]
KEYED = [Request(one.method, one.target, [*one.headers, *KEY]) for one in CHANGING]
NOT_CARRIED_OUT: list[Outcome] = [ServiceUnavailable("away"), 429, 503]
UNKNOWN: list[Outcome] = [UpstreamFailed("broke off"), UpstreamTimeout("late"), 502, 504]


@dataclass
class Time:
    """A clock that only sleep moves."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)
    luck: float = 1.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds

    def environment(self) -> RetryEnvironment:
        return RetryEnvironment(
            monotonic=lambda: self.passed,
            now=lambda: START + timedelta(seconds=self.passed),
            sleep=self.sleep,
            random=lambda: self.luck,
        )


async def run(
    outcomes: Sequence[Outcome], request: Request, time: Time | None = None, **options: float
) -> tuple[ScriptedTransport, Response | Exception]:
    inner = ScriptedTransport(outcomes)
    environment = (time or Time()).environment()
    transport = RetryingTransport(inner, environment=environment, **options)  # type: ignore[arg-type]
    try:
        return inner, await transport.send(request)
    except (ServiceUnavailable, UpstreamFailed, UpstreamTimeout) as error:
        return inner, error


@pytest.mark.parametrize("request_", READING + CHANGING, ids=repr)
@pytest.mark.parametrize("outcome", NOT_CARRIED_OUT, ids=repr)
async def test_what_was_not_carried_out_is_retried(request_: Request, outcome: Outcome) -> None:
    inner, response = await run([outcome, outcome, 200], request_)
    assert isinstance(response, Response)
    assert response.status == 200
    assert inner.requests == [request_] * 3


@pytest.mark.parametrize("request_", READING + KEYED, ids=repr)
@pytest.mark.parametrize("outcome", UNKNOWN, ids=repr)
async def test_reading_and_what_has_a_key_are_retried_when_their_fate_is_unknown(
    request_: Request, outcome: Outcome
) -> None:
    inner, response = await run([outcome, 200], request_)
    assert isinstance(response, Response)
    assert response.status == 200
    assert inner.requests == [request_] * 2


@pytest.mark.parametrize("request_", CHANGING, ids=repr)
@pytest.mark.parametrize("outcome", UNKNOWN, ids=repr)
async def test_change_without_a_key_is_not_retried_when_its_fate_is_unknown(
    request_: Request, outcome: Outcome
) -> None:
    inner, result = await run([outcome, 200], request_)
    assert len(inner.requests) == 1
    assert result is outcome or (isinstance(result, Response) and result.status == outcome)


@pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 409, 412, 422, 500, 501, 505])
async def test_final_answers_are_not_retried(status: int) -> None:
    inner, _ = await run([status, 200], Request("GET", b"/"))
    assert len(inner.requests) == 1


@pytest.mark.parametrize("outcome", [NOT_CARRIED_OUT[0], *UNKNOWN[:2]])
async def test_last_error_is_raised(outcome: Outcome) -> None:
    inner, result = await run([outcome], Request("GET", b"/"), attempts=3)
    assert result is outcome
    assert len(inner.requests) == 3


async def test_last_answer_is_returned() -> None:
    inner, result = await run([503], Request("POST", b"/"))
    assert isinstance(result, Response)
    assert len(inner.requests) == 4


async def test_waits_double_up_to_the_longest() -> None:
    time = Time()
    backoff = Backoff(initial=1, longest=5)
    transport = RetryingTransport(ScriptedTransport([503]), attempts=6, backoff=backoff, environment=time.environment())
    await transport.send(Request("GET", b"/"))
    assert time.slept == [1, 2, 4, 5, 5]


async def test_waits_are_random_down_to_nothing() -> None:
    time = Time(luck=0.0)
    await run([503, 503, 200], Request("GET", b"/"), time)
    assert time.slept == [0, 0]


def test_backoff_is_bounded_however_often() -> None:
    assert Backoff().bound(10_000) == Backoff().longest


async def test_first_try_neither_sleeps_nor_draws() -> None:
    time = Time()
    await run([200], Request("GET", b"/"), time)
    assert time.slept == []


@pytest.mark.parametrize("value", [b"7", b"Sat, 31 Jan 2026 12:00:07 GMT"])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for(status: int, value: bytes) -> None:
    time = Time(luck=0.0)
    inner, _ = await run([Response(status, [(b"retry-after", value)], b""), 200], Request("POST", b"/"), time)
    assert time.slept == [7]
    assert len(inner.requests) == 2


async def test_request_that_is_being_carried_out_is_asked_for_again() -> None:
    time = Time(luck=0.0)
    busy = Response(409, [(b"retry-after", b"1")], b"")
    inner, result = await run([busy, busy, 201], KEYED[0], time)
    assert isinstance(result, Response)
    assert (result.status, len(inner.requests), time.slept) == (201, 3, [1, 1])


async def test_conflict_is_final() -> None:
    inner, result = await run([409, 201], KEYED[0])
    assert isinstance(result, Response)
    assert (result.status, len(inner.requests)) == (409, 1)


async def test_streams_are_not_retried() -> None:
    inner = ScriptedTransport([503, UpstreamFailed("broke off"), 200])
    transport = RetryingTransport(inner, environment=Time().environment())
    async with transport.stream(Request("GET", b"/")) as response:
        assert response.status == 503
    with pytest.raises(UpstreamFailed):
        async with transport.stream(Request("GET", b"/")):
            raise AssertionError
    assert len(inner.requests) == 2


async def test_jitter_comes_on_top_of_retry_after() -> None:
    time = Time(luck=1.0)
    await run([Response(503, [(b"retry-after", b"7")], b""), 200], Request("GET", b"/"), time)
    assert time.slept == [7 + Backoff().initial]


@pytest.mark.parametrize("value", [b"30", b"3600", b"9" * 400, b"Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_retry_after_beyond_the_end_hands_the_answer_over_at_once(value: bytes) -> None:
    time = Time()
    busy = Response(503, [(b"retry-after", value)], b"")
    inner, result = await run([busy, 200], Request("GET", b"/"), time, total_timeout=30)
    assert result is busy
    assert len(inner.requests) == 1
    assert time.slept == []


async def test_no_retry_begins_after_the_end() -> None:
    time = Time()

    class Slow(ScriptedTransport):
        async def send(self, request: Request) -> Response:
            time.passed += 4.0
            return await super().send(request)

    inner = Slow([UpstreamTimeout("late")])
    transport = RetryingTransport(inner, total_timeout=10, attempts=100, environment=time.environment())
    with pytest.raises(UpstreamTimeout):
        await transport.send(Request("GET", b"/"))
    assert len(inner.requests) == 3


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0),
        (b" 120 ", 120),
        (b"Sat, 31 Jan 2026 12:01:00 GMT", 60),
        (b"Sat, 31 Jan 2026 12:01:00 -0000", 60),
        (b"Sat, 31 Jan 2026 11:00:00 GMT", 0),
        (b"", 0),
        (b"-5", 0),
        (b"soon", 0),
        (b"\xb2", 0),
        (b"Sat, 99 Jan 2026 12:01:00 GMT", 0),
    ],
)
def test_retry_after_in_both_forms(value: bytes, seconds: float) -> None:
    assert parse_retry_after(value, START) == seconds


@given(st.binary(max_size=40) | st.text("0123456789 :,JanMonGT+-").map(lambda text: text.encode()))
def test_any_retry_after_is_a_wait(value: bytes) -> None:
    assert parse_retry_after(value, START) >= 0


async def test_close_goes_through() -> None:
    inner = ScriptedTransport([200])
    await RetryingTransport(inner).aclose()
    assert inner.closed == 1


async def test_real_time_and_chance_are_the_defaults() -> None:
    transport = RetryingTransport(ScriptedTransport([503, 200]), backoff=Backoff(initial=0.001))
    busy = ScriptedTransport([Response(503, [(b"retry-after", b"Sat, 31 Jan 2026 11:00:00 GMT")], b""), 200])
    assert (await transport.send(Request("GET", b"/"))).status == 200
    assert (await RetryingTransport(busy, backoff=Backoff(initial=0.001)).send(Request("GET", b"/"))).status == 200


@pytest.mark.parametrize("last", NOT_CARRIED_OUT, ids=repr)
@pytest.mark.parametrize("first", UNKNOWN, ids=repr)
@pytest.mark.parametrize("request_", KEYED, ids=repr)
async def test_write_that_may_have_been_carried_out_is_never_reported_as_refused(
    request_: Request, first: Outcome, last: Outcome
) -> None:
    _, error = await run([first, last, last, last], request_)
    assert isinstance(error, UpstreamFailed | UpstreamTimeout)


async def test_read_is_reported_as_it_went_last() -> None:
    _, error = await run([UpstreamFailed("broke off"), *[ServiceUnavailable("away")] * 3], Request("GET", b"/"))
    assert isinstance(error, ServiceUnavailable)
