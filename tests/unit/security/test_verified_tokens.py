"""The memory of verified tokens."""

from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.principals import Principal
from sarvanom.security.verified_tokens import VerifiedToken, VerifiedTokens
from tests.unit.security.tokens import NOW, Clock


def verified(expires_at: float = NOW + 900) -> VerifiedToken:
    return VerifiedToken(Principal("user:ada"), issuer="us", token_id="1", expires_at=int(expires_at))


def test_token_is_remembered() -> None:
    memory = VerifiedTokens(clock=Clock())
    assert memory.get("a.b.c") is None
    memory.put("a.b.c", verified())
    assert memory.get("a.b.c") == verified()
    assert memory.get("a.b.d") is None


def test_text_that_is_no_token_is_not_there() -> None:
    assert VerifiedTokens().get("\ud800") is None


@given(st.floats(0, 2_000), st.floats(0, 2_000), st.floats(0, 4_000))
def test_nothing_is_remembered_beyond_its_expiry_or_its_age(life: float, max_age: float, later: float) -> None:
    clock = Clock()
    memory = VerifiedTokens(max_age=max_age, clock=clock)
    memory.put("a.b.c", verified(NOW + life))
    clock.now = NOW + later
    found = memory.get("a.b.c")
    assert (found is not None) == (clock.now < min(int(NOW + life), NOW + max_age))
    assert len(memory) == (found is not None or clock.now == NOW < min(int(NOW + life), NOW + max_age))


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = VerifiedTokens(capacity=3, clock=Clock())
    for name in "abc":
        memory.put(name, verified())
    memory.get("a")
    memory.put("b", verified())
    memory.put("d", verified())
    assert [name for name in "abcd" if memory.get(name)] == ["a", "b", "d"]
    assert len(memory) == 3
