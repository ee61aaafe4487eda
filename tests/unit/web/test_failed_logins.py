"""Failed logins slow down, for the account and for the address."""

import asyncio

import pytest

from sarvanom.backends.limits.contract import MEMBER_SECONDS
from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.shared.errors import RateLimited
from sarvanom.shared.quotas import Penalty
from sarvanom.web.failed_logins import FailedLogins
from tests.contracts.limits.clock import Clock

HOME = "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> FailedLogins:
    return FailedLogins(
        MemoryLimits(clock),
        of_attempts=Penalty(free=3, longest=4.0),
        of_account=Penalty(free=10, longest=2.0),
        of_address=Penalty(free=6, longest=900.0),
    )


async def wait_of(logins: FailedLogins, address: str | None, account: str) -> int:
    """Begin an attempt and return how long it has to wait."""
    try:
        await logins.check(address, account)
    except RateLimited as error:
        return int(error.headers["Retry-After"])
    return 0


async def test_guesses_at_an_account_from_one_address_slow_down(logins: FailedLogins, clock: Clock) -> None:
    assert [await wait_of(logins, "2001:db8::1", "ada") for _ in range(3)] == [0, 0, 0]
    for wait in (1, 2, 4):
        assert await wait_of(logins, "2001:db8::2", "Ada") == wait
        clock.go(wait)
        assert await wait_of(logins, "2001:db8::3", "ada") == 0
    assert await wait_of(logins, HOME, "ada") == 0
    assert await wait_of(logins, HOME, "bob") == 0


async def test_guesses_at_an_account_from_anywhere_slow_down_later(logins: FailedLogins, clock: Clock) -> None:
    assert [await wait_of(logins, f"192.0.2.{number}", "ada") for number in range(10)] == [0] * 10
    for wait in (1, 2, 2):
        assert await wait_of(logins, f"198.51.100.{wait}", "Ada") == wait
        clock.go(wait)
        assert await wait_of(logins, f"203.0.113.{wait}", "ada") == 0
    assert await wait_of(logins, HOME, "bob") == 0


async def test_who_has_logged_in_from_an_address_is_not_held_up_by_others(logins: FailedLogins, clock: Clock) -> None:
    await logins.check(HOME, "ada")
    await logins.succeeded(HOME, "ada")
    for number in range(10):
        await wait_of(logins, f"198.51.100.{number}", "ada")
    assert await wait_of(logins, "203.0.113.1", "ada") == 1
    assert [await wait_of(logins, HOME, "ada") for _ in range(3)] == [0, 0, 0]
    assert await wait_of(logins, HOME, "ada") == 1, "guesses from the very address count"
    await logins.succeeded(HOME, "ada")
    assert await wait_of(logins, "203.0.113.1", "ada") == 1, "and a right one washes those of others not away"
    assert await wait_of(logins, HOME, "ada") == 0
    clock.go(MEMBER_SECONDS + 1)
    for number in range(10):
        await wait_of(logins, f"198.51.100.{number}", "ada")
    assert await wait_of(logins, HOME, "ada") == 1, "after a day it is an address like any other"


async def test_attempts_that_are_refused_do_not_count(logins: FailedLogins) -> None:
    for number in range(10):
        assert await wait_of(logins, f"198.51.100.{number}", "ada") == 0
    for _ in range(30):
        assert await wait_of(logins, HOME, "ada") == 1
    assert [await wait_of(logins, HOME, f"user {number}") for number in range(7)] == [0] * 6 + [1]


async def test_an_address_slows_down_whatever_accounts_it_guesses_at(logins: FailedLogins, clock: Clock) -> None:
    assert [await wait_of(logins, "2001:db8::1", f"user {number}") for number in range(6)] == [0] * 6
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert await wait_of(logins, "2001:db8::2", f"other {wait}") == wait
        with pytest.raises(RateLimited, match=f"too many failed logins; try again in {wait} s"):
            await logins.failed("2001:db8::3")
        clock.go(wait)
        await logins.failed("2001:db8::4")
    assert await wait_of(logins, HOME, "user 0") == 0


async def test_guesses_at_the_same_time_are_counted_before_any_has_failed(logins: FailedLogins) -> None:
    waits = await asyncio.gather(*(wait_of(logins, f"192.0.2.{number}", "ada") for number in range(100)))
    assert waits.count(0) == 10
    waits = await asyncio.gather(*(wait_of(logins, HOME, "bob") for _ in range(100)))
    assert waits.count(0) == 3


async def test_whoever_was_right_starts_anew(logins: FailedLogins) -> None:
    for _ in range(50):
        assert await wait_of(logins, HOME, "ada") == 0
        await logins.succeeded(HOME, "ada")
    assert [await wait_of(logins, HOME, "ada") for _ in range(3)] == [0, 0, 0]
    assert await wait_of(logins, HOME, "ada") == 1


async def test_a_right_login_does_not_wash_other_guesses_away(logins: FailedLogins) -> None:
    for number in range(5):
        await wait_of(logins, HOME, f"user {number}")
    await logins.check(HOME, "mallory")
    await logins.succeeded(HOME, "mallory")
    assert await wait_of(logins, HOME, "user 6") == 0
    assert await wait_of(logins, HOME, "user 7") == 1


async def test_attempts_that_an_account_refuses_do_not_count_against_their_address(logins: FailedLogins) -> None:
    assert [await wait_of(logins, HOME, "ada") for _ in range(33)] == [0] * 3 + [1] * 30
    assert [await wait_of(logins, HOME, f"user {number}") for number in range(4)] == [0] * 3 + [1]


async def test_wrong_keys_slow_their_address_down(logins: FailedLogins) -> None:
    for _ in range(6):
        await logins.failed(None)
    with pytest.raises(RateLimited):
        await logins.failed(None)


async def test_attempt_that_nobody_could_judge_does_not_count(logins: FailedLogins) -> None:
    for _ in range(20):
        assert await wait_of(logins, HOME, "ada") == 0
        await logins.undecided(HOME, "ada")
    for _ in range(3):
        assert await wait_of(logins, HOME, "ada") == 0
    assert await wait_of(logins, HOME, "ada") > 0
