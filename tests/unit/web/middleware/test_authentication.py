"""A bearer token is looked at before anything else, and nobody is let in without one."""

import pytest

from sarvanom.security.principals import Principal
from sarvanom.shared.errors import InvalidHeader, ServiceUnavailable, Unauthorized
from sarvanom.web.authorization import PRINCIPAL, principal_of
from sarvanom.web.middleware.authentication import AuthenticationMiddleware
from sarvanom.web.middleware.identity import IdentityMiddleware
from sarvanom.web.proofs import PROOF
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched

ADA = Principal("key:ada")


class Authenticating:
    """Knows one token, and notes which it was asked about."""

    def __init__(self, error: Exception | None = None) -> None:
        self.tokens: list[str] = []
        self.error = error

    async def authenticate(self, token: str) -> Principal:
        self.tokens.append(token)
        if self.error is not None:
            raise self.error
        return ADA

    async def until_refuted(self, token: str, principal: Principal) -> None:
        self.tokens.append(f"{token} of {principal.subject}")


@pytest.mark.parametrize("value", [b"Bearer t-1", b"bearer t-1", b"BEARER   t-1 "])
async def test_token_proves_who_asks(value: bytes) -> None:
    authenticating, app = Authenticating(), Replying()
    middleware = AuthenticationMiddleware(IdentityMiddleware(app), authenticating, ["/health"])
    assert (await ask(middleware, http_scope(path="/users", headers=[(b"authorization", value)]))).status == 200
    assert authenticating.tokens == ["t-1"]
    (scope,) = app.scopes
    assert principal_of(scope) is ADA
    await scope[PROOF]()
    assert authenticating.tokens[1:] == ["t-1 of key:ada"]


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


async def test_other_scopes_pass() -> None:
    app = Untouched()
    assert await is_untouched(AuthenticationMiddleware(IdentityMiddleware(app), Authenticating(), []), app)
