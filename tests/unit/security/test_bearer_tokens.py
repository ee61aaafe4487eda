"""Tokens of whatever issuer, each proven by its own issuer's keys."""

import pytest

from sarvanom.backends.identity.issuer_documents import IssuerDocuments
from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.bearer_tokens import BearerTokens
from sarvanom.security.oidc import OutsideIssuer, OutsideTokens
from sarvanom.security.principals import Principal
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.security.verified_tokens import VerifiedTokens
from sarvanom.shared.errors import Unauthorized
from tests.unit.security.played_issuer import make_ed25519, play_issuer
from tests.unit.security.tokens import SECRET, Clock, claims_of, header_of, unsigned, write

OWN = AccessTokens(
    SigningKeys(SECRET, clock=Clock()), issuer="https://api.example.org", audience="sarvanom", clock=Clock()
)


async def test_each_token_is_proven_by_its_own_issuer() -> None:
    async with play_issuer() as issuer:
        key = make_ed25519("one")
        issuer.publish(key)
        documents, memory = IssuerDocuments(), VerifiedTokens(clock=Clock())
        outside = OutsideTokens([OutsideIssuer("main", issuer.url, "sarvanom")], documents.fetch, clock=Clock())
        tokens = BearerTokens(OWN, outside, memory)
        own = OWN.issue(Principal("user:ada"), client_id="cli").text
        assert (await tokens.verify(own)).principal.subject == "user:ada"
        assert (await tokens.verify(issuer.token(key))).principal.subject == "oidc:main:8f2c"
        with pytest.raises(Unauthorized):
            await tokens.verify(issuer.token(key, iss=OWN.issuer, sub="user:ada"))
        with pytest.raises(Unauthorized):
            await tokens.verify(issuer.token(key, iss="https://evil.example"))
        assert len(memory) == 2
        await documents.aclose()


async def fetch(url: str) -> bytes:
    raise AssertionError(url)


async def test_token_is_verified_once() -> None:
    memory = VerifiedTokens(clock=Clock())
    tokens = BearerTokens(OWN, OutsideTokens([], fetch), memory)
    text = OWN.issue(Principal("user:ada"), client_id="cli").text
    assert await tokens.verify(text) is await tokens.verify(text)


async def test_token_that_is_refused_is_not_remembered() -> None:
    memory = VerifiedTokens(clock=Clock())
    tokens = BearerTokens(OWN, OutsideTokens([], fetch), memory)
    text = OWN.issue(Principal("user:ada"), client_id="cli").text
    for bad in (write(header_of(text), claims_of(text), unsigned), text[:-4], "nonsense"):
        with pytest.raises(Unauthorized):
            await tokens.verify(bad)
    assert len(memory) == 0


def test_nobody_else_may_have_our_name() -> None:
    outside = OutsideTokens([OutsideIssuer("evil", OWN.issuer, "sarvanom")], fetch)
    with pytest.raises(ValueError, match="our own"):
        BearerTokens(OWN, outside, VerifiedTokens())


async def test_a_gateway_with_our_keys_and_another_name_is_told_of_once_and_not_believed() -> None:
    told: list[str] = []
    tokens = BearerTokens(OWN, OutsideTokens([], fetch), VerifiedTokens(), on_other_name=told.append)
    other = AccessTokens(
        SigningKeys(SECRET, clock=Clock()), issuer="http://localhost:9000", audience="sarvanom", clock=Clock()
    )
    theirs = other.issue(Principal("user:ada"), client_id="cli").text
    made_up = write(header_of(theirs), claims_of(theirs) | {"iss": "http://evil.example"}, unsigned)
    for text, said in ((made_up, []), (theirs, [other.issuer]), (theirs, [other.issuer])):
        with pytest.raises(Unauthorized):
            await tokens.verify(text)
        assert told == said
