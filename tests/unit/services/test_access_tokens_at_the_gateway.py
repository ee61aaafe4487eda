"""Access tokens at the gateway: verified once, as good as their sessions, which are asked for once a lease."""

import asyncio
from typing import Any

import pytest

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.bearer_tokens import BearerTokens
from sarvanom.security.oidc import OutsideTokens
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import ROLES, Role
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.security.verified_tokens import VerifiedTokens
from sarvanom.services.gateway.access_tokens import BearerAccessTokens
from sarvanom.shared.errors import ServiceUnavailable, Unauthorized
from sarvanom.shared.models.session_models import Standing
from tests.unit.security.tokens import SECRET

ISSUER = "https://api.example.org"
VIEWER = Principal("user:ada", ROLES[Role.VIEWER], frozenset({"s"}))


class Crud:
    """Sessions by id, and how often somebody asked."""

    def __init__(self) -> None:
        self.sessions: dict[str, Standing] = {}
        self.asked: list[str] = []
        self.is_away = False

    async def find(self, session_id: str) -> Standing | None:
        self.asked.append(session_id)
        if self.is_away:
            raise ServiceUnavailable("crud is away")
        return self.sessions.get(session_id)


def standing(principal: Principal = VIEWER, **fields: Any) -> Standing:
    services = None if principal.services is None else sorted(principal.services)
    return Standing(
        **{"subject": principal.subject, "scopes": sorted(principal.scopes), "services": services, **fields}
    )


@pytest.fixture
def crud() -> Crud:
    return Crud()


def gateway(crud: Crud, lease: float = 60) -> tuple[BearerAccessTokens, AccessTokens]:
    own = AccessTokens(SigningKeys(SECRET), issuer=ISSUER, audience=ISSUER)

    async def fetch(_: str) -> bytes:
        raise AssertionError("nobody is trusted")

    tokens = BearerTokens(own, OutsideTokens([], fetch), VerifiedTokens())
    return BearerAccessTokens(tokens, crud.find, own_issuer=ISSUER, lease=lease), own


async def test_session_is_asked_for_once_a_lease(crud: Crud) -> None:
    bearers, own = gateway(crud)
    crud.sessions["F"] = standing()
    tokens = [own.issue(VIEWER, client_id="c", family="F").text for _ in range(2)]
    for token in (*tokens, *tokens):
        assert await bearers.authenticate(token) == VIEWER
    assert crud.asked == ["F"]


async def test_principal_is_the_very_same_while_nothing_changes(crud: Crud) -> None:
    """So that a request costs what a lookup costs."""
    bearers, own = gateway(crud)
    crud.sessions["F"] = standing()
    token = own.issue(VIEWER, client_id="c", family="F").text
    assert await bearers.authenticate(token) is await bearers.authenticate(token)


async def test_token_allows_what_both_it_and_its_session_do(crud: Crud) -> None:
    bearers, own = gateway(crud, lease=0.001)
    narrow = Principal("user:ada", frozenset({"users:read", "models:read"}))
    token = own.issue(narrow, client_id="c", family="F").text
    crud.sessions["F"] = standing(Principal("user:ada", frozenset({"users:read", "keys:admin"}), frozenset({"s"})))
    found = await bearers.authenticate(token)
    assert found == Principal("user:ada", frozenset({"users:read"}), frozenset({"s"}))


@pytest.mark.parametrize("family", [None, "F"])
async def test_token_without_a_session_is_refused(crud: Crud, family: str | None) -> None:
    bearers, own = gateway(crud)
    token = own.issue(VIEWER, client_id="c", family=family).text
    for _ in range(2):
        with pytest.raises(Unauthorized, match="revoked"):
            await bearers.authenticate(token)
    assert len(crud.asked) == (family is not None)


async def test_session_that_ends_within_the_lease_is_over_at_that_moment(crud: Crud) -> None:
    bearers, own = gateway(crud)
    crud.sessions["F"] = standing(ends_at="2020-01-01T00:00:00Z")
    with pytest.raises(Unauthorized):
        await bearers.authenticate(own.issue(VIEWER, client_id="c", family="F").text)


async def test_nobody_is_let_in_when_a_lease_ends_while_crud_is_away(crud: Crud) -> None:
    bearers, own = gateway(crud, lease=0.05)
    crud.sessions["F"] = standing()
    token = own.issue(VIEWER, client_id="c", family="F").text
    assert await bearers.authenticate(token) == VIEWER
    crud.is_away = True
    await asyncio.sleep(0.06)
    with pytest.raises(ServiceUnavailable):
        await bearers.authenticate(token)
