"""A bearer token is looked at before anything else, and nobody is let in without one."""

from collections.abc import Callable

import pytest
from starlette.types import Scope

from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.security.limits import LimitPolicy
from sarvanom.security.principals import Principal
from sarvanom.shared.errors import InvalidHeader, RateLimited, ServiceUnavailable, Unauthorized
from sarvanom.web.authorization import PRINCIPAL, principal_of
from sarvanom.web.middleware.authentication import REFUSAL, AuthenticationMiddleware
from sarvanom.web.middleware.identity import IdentityMiddleware
from sarvanom.web.middleware.limits import LimitMiddleware, StrangerLimit
from sarvanom.web.proofs import PROOF
from sarvanom.web.sent_answer import SENT
from tests.contracts.limits.clock import Clock
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched

ADA = Principal("key:ada")


class Authenticating:
    """Knows one token, and notes which it was asked about."""

    def __init__(self, error: Exception | None = None) -> None:
        self.tokens: list[str] = []
        self.error = error
        self.remembered: str | None = None
        self.strange: set[str] = set()

    def recall(self, token: str) -> Principal | None:
        return ADA if token == self.remembered else None

    def is_stranger(self, token: str) -> bool:
        return token in self.strange

    async def authenticate(self, token: str) -> Principal:
        self.tokens.append(token)
        if self.error is not None:
            raise self.error
        return ADA

    async def until_refuted(self, token: str, principal: Principal) -> None:
        self.tokens.append(f"{token} of {principal.subject}")


async def nobody_counts(_: Scope) -> Callable[[], None]:
    raise AssertionError


def bearer(token: str) -> Scope:
    return http_scope(path="/users", headers=[(b"authorization", b"Bearer " + token.encode())])


@pytest.mark.parametrize("value", [b"Bearer t-1", b"bearer t-1", b"BEARER   t-1 "])
async def test_token_proves_who_asks(value: bytes) -> None:
    authenticating, app = Authenticating(), Replying()
    middleware = AuthenticationMiddleware(IdentityMiddleware(app), authenticating, ["/health"])
    assert (await ask(middleware, http_scope(path="/users", headers=[(b"authorization", value)]))).status == 200
    assert authenticating.tokens == ["t-1"]
    (scope,) = app.scopes
    assert principal_of(scope) is ADA
    assert scope[PROOF] == (authenticating, "t-1", ADA)


@pytest.mark.parametrize(
    "value", [None, b"", b"Bearer", b"Bearer ", b"Basic dTpw", b"t-1", b"Bearer \xc3\xa4", b"Bearert-1"]
)
async def test_without_a_token_nobody_is_let_in(value: bytes | None) -> None:
    app, refusing = Replying(), Authenticating(Unauthorized("no"))
    headers = [] if value is None else [(b"authorization", value)]
    with pytest.raises(Unauthorized):
        await ask(AuthenticationMiddleware(IdentityMiddleware(app), refusing, []), http_scope(headers=headers))
    assert app.scopes == []
    assert set(refusing.tokens) <= {""}


async def test_two_tokens_are_one_too_many() -> None:
    headers = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]
    authenticating = Authenticating()
    with pytest.raises(InvalidHeader):
        await ask(
            AuthenticationMiddleware(IdentityMiddleware(Replying()), authenticating, []), http_scope(headers=headers)
        )
    assert authenticating.tokens == []


async def test_what_cannot_be_found_out_is_no_open_door() -> None:
    app = Replying()
    middleware = AuthenticationMiddleware(IdentityMiddleware(app), Authenticating(ServiceUnavailable("away")), [])
    with pytest.raises(ServiceUnavailable):
        await ask(middleware, http_scope(headers=[(b"authorization", b"Bearer a")]))
    assert app.scopes == []


async def test_public_path_needs_no_token_and_makes_nobody_known() -> None:
    authenticating, app = Authenticating(), Replying()
    middleware = AuthenticationMiddleware(IdentityMiddleware(app), authenticating, ["/health"])
    await ask(middleware, http_scope(path="/health", headers=[(b"authorization", b"Bearer a")]))
    assert authenticating.tokens == []
    assert PRINCIPAL not in app.scopes[0]
    for path in ("/health/", "/Health", "/health/x", "//health"):
        with pytest.raises(Unauthorized):
            await ask(middleware, http_scope(path=path))


async def test_what_is_remembered_needs_no_asking() -> None:
    authenticating, app = Authenticating(Unauthorized("no")), Replying()
    authenticating.remembered = "t-1"
    await ask(AuthenticationMiddleware(app, authenticating, [], nobody_counts), bearer("t-1"))
    assert authenticating.tokens == []
    assert principal_of(app.scopes[0]) is ADA


async def test_strange_token_is_counted_before_anybody_is_asked() -> None:
    clock, authenticating, app = Clock(), Authenticating(Unauthorized("no")), Replying()
    authenticating.strange = {"a"}
    store, policy = MemoryLimits(clock), LimitPolicy(anonymous=3, reads=100)
    inner = LimitMiddleware(IdentityMiddleware(app), store, policy)
    edge = AuthenticationMiddleware(inner, authenticating, [], StrangerLimit(store, policy))
    for left in (2, 1, 0):
        scope = bearer("a")
        with pytest.raises(Unauthorized):
            await ask(edge, scope)
        assert scope[SENT].added[b"x-ratelimit-remaining-requests"] == str(left).encode()
    for _ in range(10):
        with pytest.raises(RateLimited, match="'anonymous'"):
            await ask(edge, bearer("a"))
    assert authenticating.tokens == ["a", "a", "a"]
    clock.go(62)
    for _ in range(10):  # whoever has no token keeps nobody out who has a good one
        with pytest.raises((Unauthorized, RateLimited)):
            await ask(edge, http_scope(path="/users"))
    authenticating.error = None
    assert (await ask(edge, bearer("a"))).headers["x-ratelimit-remaining-requests"] == "99"


async def test_strange_token_is_not_counted_when_nobody_can_be_asked() -> None:
    authenticating, app = Authenticating(ServiceUnavailable("away")), Replying()
    authenticating.strange = {"a"}
    edge = AuthenticationMiddleware(app, authenticating, [], StrangerLimit(MemoryLimits(), LimitPolicy(anonymous=3)))
    for _ in range(10):
        await ask(edge, bearer("a"))
    assert [isinstance(scope[REFUSAL], ServiceUnavailable) for scope in app.scopes] == [True] * 10
    authenticating.error = None
    await ask(edge, bearer("a"))
    assert principal_of(app.scopes[-1]) is ADA


async def test_other_scopes_pass() -> None:
    app = Untouched()
    assert await is_untouched(AuthenticationMiddleware(IdentityMiddleware(app), Authenticating(), []), app)
