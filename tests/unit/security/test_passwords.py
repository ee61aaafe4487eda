"""Passwords: which may be chosen, and that comparing them tells nothing more than whether they are right."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security import passwords as module
from sarvanom.security.passwords import Cost, Passwords, Verification, check_password, normalize_password
from sarvanom.shared.errors import ServiceUnavailable, ValidationFailed

GOOD = "correct horse battery staple"
CHEAP = Cost(memory=64, time=1, parallelism=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(cost=CHEAP)
    yield made
    made.close()


async def test_right_password_is_right(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, stored) == Verification(is_right=True)


@pytest.mark.parametrize("given_", ["", GOOD + " ", GOOD.upper(), GOOD[:-1], GOOD + "\0"])
async def test_wrong_password_is_wrong(passwords: Passwords, given_: str) -> None:
    assert await passwords.verify(given_, await passwords.hash(GOOD)) == Verification(is_right=False)


async def test_what_is_stored_differs_each_time_and_holds_no_password(passwords: Passwords) -> None:
    one, other = await passwords.hash(GOOD), await passwords.hash(GOOD)
    assert one != other
    assert one.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert "horse" not in one


async def test_unknown_user_is_answered_like_a_wrong_password(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, None) == await passwords.verify("another password", stored)


@pytest.mark.parametrize("stored", ["", "x", "$2b$12$abc", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA"])
async def test_stored_text_that_is_no_hash_lets_nobody_in(passwords: Passwords, stored: str) -> None:
    assert not (await passwords.verify(GOOD, stored)).is_right
    assert not (await passwords.verify("", stored)).is_right


async def test_every_way_to_type_a_password_is_the_same(passwords: Passwords) -> None:
    """NFKC: a composed and a decomposed letter, a ligature, full-width letters of an input method."""
    stored = await passwords.hash("\u00e9tudiant \ufb01ltre \uff21\uff22\uff23")
    assert (await passwords.verify("e\u0301tudiant filtre ABC", stored)).is_right


@given(st.text(max_size=200))
def test_normal_form_is_stable(password: str) -> None:
    normal = normalize_password(password)
    assert normalize_password(normal.decode()) == normal


async def test_hash_of_older_cost_is_replaced_on_login(passwords: Passwords) -> None:
    dearer = Passwords(cost=CHEAP._replace(time=2))
    stored = await passwords.hash(GOOD)
    assert await dearer.verify("wrong password", stored) == Verification(is_right=False)
    is_right, new_hash = await dearer.verify(GOOD, stored)
    assert is_right
    assert new_hash is not None
    assert ",t=2," in new_hash
    assert await dearer.verify(GOOD, new_hash) == Verification(is_right=True)
    dearer.close()


@pytest.mark.parametrize("password", ["x" * 1_025, "\ufdfa" * 1_000, "\ud800" * 20])
async def test_password_beyond_all_bounds_costs_nothing_and_is_wrong(
    passwords: Passwords, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await passwords.hash(GOOD)
    monkeypatch.setattr(passwords, "_threads", None)
    for known in (stored, None):
        assert await passwords.verify(password, known) == Verification(is_right=False)
    with pytest.raises(ValueError, match=r"long|encode"):
        await passwords.hash(password)
    with pytest.raises(ValidationFailed):
        check_password(password)


def test_default_cost_is_what_owasp_names() -> None:
    made = Passwords()
    assert made._nobodys_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    made.close()


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "x7Kp2mQ9vR4tW8z",
        " leading and trailing ",
        "пароль достаточно длинный",
        "正確的馬電池訂書針正確的馬電池",
        "🐎🔋📎🧷🗝" * 3,
    ],
)
def test_long_password_may_be_chosen_whatever_it_is_made_of(password: str) -> None:
    check_password(password, context=["ada", "ada@example.org"])


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "at least 15"),
        ("fourteen chars", "at least 15"),
        ("e\u0301" * 14, "at least 15"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "different"),
        ("abababcdcdcdabababab", "different"),
        ("a password\0with NUL", "control"),
        ("a password\nof two lines", "control"),
        ("augusta.lovelace123", "name"),
        ("Augusta.LovelaceAugusta.Lovelace!", "name"),
        ("\uff21ugusta.Lovelace2026", "name"),
    ],
)
def test_password_that_is_guessed_may_not_be_chosen(password: str, message: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_password(password, context=["augusta.lovelace", "", "ada"])
    assert [error.field for error in refused.value.errors] == ["password"]
    assert message in refused.value.errors[0].message
    assert not password or password not in str(refused.value) + refused.value.errors[0].message


@given(st.text(max_size=40))
def test_what_may_be_chosen_can_be_hashed(password: str) -> None:
    try:
        check_password(password)
    except ValidationFailed:
        return
    assert len(normalize_password(password).decode()) >= module.MIN_LENGTH


def test_shorter_passwords_may_be_allowed() -> None:
    check_password("12 characters", min_length=12)


class Gate:
    """Work that goes on only when it is told to."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def verify(self, *_: Any) -> Verification:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.opened.wait(10)
        with self._lock:
            self.running -= 1
        return Verification(is_right=False)


async def test_no_more_run_at_once_than_memory_allows_and_no_more_wait_than_is_useful() -> None:
    passwords = Passwords(cost=CHEAP, concurrency=2, waiting=3)
    gate = Gate()
    passwords._verify = gate.verify  # type: ignore[method-assign, assignment]
    running = [asyncio.create_task(passwords.verify(GOOD, None)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await passwords.verify(GOOD, None)
    gate.opened.set()
    assert len(await asyncio.gather(*running)) == 5
    assert gate.most <= 2
    await passwords.verify(GOOD, None)
    passwords.close()


async def test_caller_who_goes_away_makes_room() -> None:
    passwords = Passwords(cost=CHEAP, concurrency=1, waiting=0)
    gate = Gate()
    passwords._verify = gate.verify  # type: ignore[method-assign, assignment]
    waiting = asyncio.create_task(passwords.verify(GOOD, None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    await passwords.verify(GOOD, None)
    passwords.close()


async def test_event_loop_runs_on_while_a_password_is_compared() -> None:
    passwords = Passwords()
    compared = asyncio.create_task(passwords.verify(GOOD, None))
    turns = 0
    while not compared.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    passwords.close()


async def test_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    """The best of interleaved rounds, in processor time of the thread, so that a busy machine does not matter."""
    passwords = Passwords()
    stored = await passwords.hash(GOOD)
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(15):
        for is_known in (True, False):
            before = time.thread_time()
            passwords._verify(b"a wrong password", stored if is_known else None)
            took[is_known].append(time.thread_time() - before)
    assert min(took[True]) == pytest.approx(min(took[False]), rel=0.25)
    passwords.close()
