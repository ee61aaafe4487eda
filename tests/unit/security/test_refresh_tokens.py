"""Refresh tokens: one use each, a short second chance, and the end of the family for those who come too late."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sarvanom.security.principals import Principal
from sarvanom.security.refresh_tokens import (
    Expired,
    Lifetimes,
    Redeemed,
    Redemption,
    RefreshFamily,
    RefreshTokens,
    Reused,
    Revoked,
    Unknown,
    digest_of,
    family_of,
)
from tests.unit.security.tokens import NOW, SECRET

ADA = Principal("user:ada", frozenset({"users:read"}), frozenset({"chat"}))
TOKENS = RefreshTokens(SECRET)
DAY = 86_400


def start(tokens: RefreshTokens = TOKENS) -> tuple[RefreshFamily, str]:
    return tokens.start(ADA, client_id="cli", now=NOW)


def redeem(family: RefreshFamily, token: str, after: float = 60, tokens: RefreshTokens = TOKENS) -> Redemption:
    return tokens.redeem(family, token, client_id="cli", now=NOW + after)


def rotate(family: RefreshFamily, token: str, after: float = 60) -> tuple[RefreshFamily, str]:
    redeemed = redeem(family, token, after)
    assert isinstance(redeemed, Redeemed)
    assert not redeemed.repeated
    return redeemed.family, redeemed.token


def test_family_begins_with_what_was_granted() -> None:
    family, token = start()
    assert family.principal == ADA
    assert (family.client_id, family.generation, family.revoked_at) == ("cli", 1, None)
    assert (family.digest, family.previous_digest) == (digest_of(token), None)
    assert (family.created_at, family.idle_expires_at, family.expires_at) == (NOW, NOW + 7 * DAY, NOW + 30 * DAY)


def test_token_looks_like_one_and_names_its_family() -> None:
    family, token = start()
    assert re.fullmatch(r"sr-[0-9A-Za-z]{88}", token)
    assert family_of(token) == family.family_id


@given(st.integers(0, 90), st.sampled_from("0aZ-"))
def test_token_that_was_mistyped_names_no_family(place: int, other: str) -> None:
    _, token = start()
    assert family_of(token[:place] + other + token[place + 1 :]) is None or token[place] == other


def test_nothing_that_is_stored_is_the_token() -> None:
    family, token = start()
    after, successor = rotate(family, token)
    for secret in (token, successor):
        assert secret not in repr(family) + repr(after)
        assert secret[25:68] not in repr(family) + repr(after)


def test_no_two_families_are_alike() -> None:
    started = [start() for _ in range(50)]
    assert len({family.family_id for family, _ in started}) == 50
    assert len({token[25:] for _, token in started}) == 50


def test_use_gives_the_next_token_and_puts_the_end_off() -> None:
    family, token = start()
    after, successor = rotate(family, token, 6 * DAY)
    assert successor != token
    assert family_of(successor) == family.family_id
    assert after == replace(
        family,
        digest=digest_of(successor),
        previous_digest=family.digest,
        generation=2,
        rotated_at=NOW + 6 * DAY,
        idle_expires_at=NOW + 13 * DAY,
    )


def test_lost_answer_is_given_again_for_a_few_seconds() -> None:
    family, token = start()
    after, successor = rotate(family, token)
    for later in (60, 61, 69.9):
        assert redeem(after, token, later) == Redeemed(after, successor, repeated=True)
    assert redeem(after, token, 70) == Reused(replace(after, revoked_at=NOW + 70))


def test_every_gateway_gives_the_same_answer() -> None:
    family, token = start()
    assert redeem(family, token) == redeem(family, token, tokens=RefreshTokens(SECRET))


def test_next_token_follows_from_neither_token_nor_secret_alone() -> None:
    family, token = start()
    _, successor = rotate(family, token)
    with_another_secret = redeem(family, token, tokens=RefreshTokens(SECRET[::-1]))
    assert isinstance(with_another_secret, Redeemed)
    assert with_another_secret.token != successor
    other = TOKENS._write(family.family_id, bytes(32))
    assert TOKENS._successor(other) != successor


def test_answer_is_not_given_again_once_its_token_was_used() -> None:
    family, token = start()
    second, successor = rotate(family, token)
    third, _ = rotate(second, successor, 61)
    assert redeem(third, token, 62) == Reused(replace(third, revoked_at=NOW + 62))


@pytest.mark.parametrize("uses", [1, 2, 5])
def test_thief_and_owner_end_the_family_whoever_comes_first(uses: int) -> None:
    family, stolen = start()
    token = stolen
    for use in range(uses):
        family, token = rotate(family, token, 60 * use)
    outcome = redeem(family, stolen, 60 * uses)
    assert isinstance(outcome, Reused)
    assert outcome.family.revoked_at == NOW + 60 * uses
    assert redeem(outcome.family, token, 60 * uses) == Revoked()
    assert redeem(outcome.family, stolen, 60 * uses) == Revoked()


def test_somebody_who_knows_the_family_alone_cannot_end_it() -> None:
    """Its id stands in every access token."""
    family, token = start()
    forger = RefreshTokens(SECRET[::-1])
    for forged in (
        forger._write(family.family_id, bytes(32)),
        TOKENS._write(family.family_id[::-1], bytes(32)),
        start()[1],
        "sr-" + family.family_id,
        "",
        "sr-" + "\u0663" * 88,
        token[:-1],
        token + "0",
        token.swapcase(),
        token[:30] + ("A" if token[30] != "A" else "B") + token[31:],
    ):
        assert redeem(family, forged) == Unknown()


@given(st.text(max_size=100) | st.from_regex(r"sr-[0-9A-Za-z]{88}", fullmatch=True))
def test_whatever_else_is_presented_is_unknown(text: str) -> None:
    family, _ = start()
    assert redeem(family, text) == Unknown()


def test_token_given_to_another_client_ends_the_family() -> None:
    family, token = start()
    outcome = TOKENS.redeem(family, token, client_id="evil", now=NOW + 1)
    assert outcome == Reused(family.revoke(NOW + 1))
    second, _ = rotate(family, token)
    assert isinstance(TOKENS.redeem(second, token, client_id="evil", now=NOW + 61), Reused)


@pytest.mark.parametrize(("unused", "is_over"), [(7 * DAY - 1, False), (7 * DAY, True)])
def test_family_that_is_not_used_expires(unused: float, *, is_over: bool) -> None:
    family, token = start()
    assert isinstance(redeem(family, token, unused), Expired if is_over else Redeemed)


def test_family_expires_however_often_it_is_used() -> None:
    family, token = start()
    for day in range(1, 30):
        family, token = rotate(family, token, day * DAY)
    assert family.generation == 30
    assert isinstance(redeem(family, token, 30 * DAY - 1), Redeemed)
    assert redeem(family, token, 30 * DAY) == Expired()


def test_revoked_family_stays_revoked() -> None:
    family, token = start()
    revoked = family.revoke(NOW + 5)
    assert redeem(revoked, token) == Revoked()
    assert revoked.revoke(NOW + 9) is revoked


def test_family_outlives_a_change_of_the_secret() -> None:
    family, token = start()
    new = RefreshTokens(SECRET[::-1])
    redeemed = redeem(family, token, tokens=new)
    assert isinstance(redeemed, Redeemed)
    assert isinstance(redeem(redeemed.family, redeemed.token, 120, new), Redeemed)


def test_answer_lost_while_the_secret_changed_ends_the_family_or_is_unknown() -> None:
    family, token = start()
    after, _ = rotate(family, token)
    assert redeem(after, token, 61, RefreshTokens(SECRET[::-1])) == Unknown()
    mixed = RefreshTokens(SECRET)
    mixed._next_key = bytes(32)
    assert isinstance(redeem(after, token, 61, mixed), Reused)


def test_without_grace_the_second_use_ends_the_family() -> None:
    strict = RefreshTokens(SECRET, Lifetimes(grace=0))
    family, token = start(strict)
    redeemed = redeem(family, token, tokens=strict)
    assert isinstance(redeemed, Redeemed)
    assert isinstance(redeem(redeemed.family, token, 60, strict), Reused)


class Login(RuleBasedStateMachine):
    """Somebody refreshes, repeats, steals and waits; a family lives as long as nobody comes too late."""

    @initialize()
    def begin(self) -> None:
        self.family, token = start()
        self.tokens = [token]
        self.now = NOW

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(back=st.integers(0, 5))
    def present(self, back: int) -> None:
        token = self.tokens[-1 - back % len(self.tokens)]
        outcome = TOKENS.redeem(self.family, token, client_id="cli", now=self.now)
        if self.family.revoked_at is not None:
            assert outcome == Revoked()
        elif token == self.tokens[-1]:
            assert isinstance(outcome, Redeemed)
            self.family = outcome.family
            self.tokens.append(outcome.token)
        elif token == self.tokens[-2] and self.now < self.family.rotated_at + 10:
            assert outcome == Redeemed(self.family, self.tokens[-1], repeated=True)
        else:
            assert isinstance(outcome, Reused)
            self.family = outcome.family

    @invariant()
    def newest_two_are_stored(self) -> None:
        assert self.family.digest == digest_of(self.tokens[-1])
        assert self.family.generation == len(self.tokens) == len(set(self.tokens))
        if len(self.tokens) > 1:
            assert self.family.previous_digest == digest_of(self.tokens[-2])


TestLogin = Login.TestCase
