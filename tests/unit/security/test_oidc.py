"""Tokens of outside issuers, played by a real server with real keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sarvanom.backends.identity.issuer_documents import IssuerDocuments
from sarvanom.security.oidc import OutsideIssuer, OutsideTokens, claim_values
from sarvanom.security.scopes import ROLES, Role
from sarvanom.security.verified_tokens import VerifiedTokens
from sarvanom.shared.errors import ServiceUnavailable, Unauthorized
from tests.unit.security.played_issuer import MAKERS, KeyPair, PlayedIssuer, make_ec, make_rsa, play_issuer
from tests.unit.security.tokens import NOW, P256_ORDER, Clock, decode, encode, unsigned, write

KEYS = {name: make(name) for name, make in MAKERS.items()}
EVIL = make_rsa("RS256")
type Make = Callable[..., OutsideTokens]


@pytest.fixture
async def issuer() -> AsyncIterator[PlayedIssuer]:
    async with play_issuer() as played:
        played.publish(*KEYS.values())
        yield played


@pytest.fixture
async def make(issuer: PlayedIssuer) -> AsyncIterator[Make]:
    documents = IssuerDocuments()
    made: list[OutsideTokens] = []

    def make_tokens(**changed: Any) -> OutsideTokens:
        trusted = {
            "name": "keycloak",
            "issuer": issuer.url,
            "audience": "sarvanom",
            "roles": {"sarvanom-editor": Role.EDITOR, "sarvanom-admin": Role.ADMIN},
            "roles_claim": "realm_access.roles",
        }
        made.append(OutsideTokens([OutsideIssuer(**trusted | changed)], documents.fetch, clock=Clock()))
        return made[-1]

    yield make_tokens
    for tokens in made:
        await tokens.aclose()
    await documents.aclose()


async def is_refused(tokens: OutsideTokens, token: str) -> bool:
    try:
        await tokens.verify(token)
    except Unauthorized as error:
        refused = error
    else:
        return False
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return True


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_token_of_a_trusted_issuer_is_taken(issuer: PlayedIssuer, make: Make, algorithm: str) -> None:
    verified = await make().verify(issuer.token(KEYS[algorithm]))
    assert verified.principal.subject == "oidc:keycloak:8f2c"
    assert verified.principal.scopes == ROLES[Role.EDITOR]
    assert verified.principal.services is None
    assert (verified.issuer, verified.token_id, verified.client_id) == (issuer.url, "token-1", "console")
    assert (verified.issued_at, verified.expires_at) == (int(NOW) - 10, int(NOW) + 290)


async def test_verified_token_may_be_remembered(issuer: PlayedIssuer, make: Make) -> None:
    memory, token = VerifiedTokens(clock=Clock()), issuer.token(KEYS["ES256"])
    memory.put(token, await make().verify(token))
    assert memory.get(token) is not None


async def test_token_without_what_may_be_left_out_is_taken(issuer: PlayedIssuer, make: Make) -> None:
    verified = await make().verify(issuer.token(KEYS["RS256"], iat=..., nbf=..., jti=..., azp=..., realm_access=...))
    assert (verified.token_id, verified.client_id, verified.issued_at) == (None, None, None)
    assert verified.principal.scopes == frozenset()


async def test_key_that_is_new_is_found(issuer: PlayedIssuer, make: Make) -> None:
    monotonic, documents = Clock(0), IssuerDocuments()
    trusted = OutsideIssuer("keycloak", issuer.url, "sarvanom")
    tokens = OutsideTokens([trusted], documents.fetch, clock=Clock(), monotonic=monotonic)
    await tokens.verify(issuer.token(KEYS["RS256"]))
    rotated = make_ec("rotated")
    issuer.publish(rotated)
    monotonic.now = 30
    await tokens.verify(issuer.token(rotated))
    assert await is_refused(tokens, issuer.token(KEYS["RS256"]))
    await documents.aclose()


async def test_issuer_that_is_down_is_not_a_refusal(issuer: PlayedIssuer, make: Make) -> None:
    issuer.is_down = True
    with pytest.raises(ServiceUnavailable):
        await make().verify(issuer.token(KEYS["RS256"]))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": ...},
        {"iss": ["x"]},
        {"iss": {}},
        {"aud": "other"},
        {"aud": ...},
        {"aud": ["account"]},
        {"aud": "sarvanom other"},
        {"aud": [["sarvanom"]]},
        {"exp": ...},
        {"exp": NOW - 30},
        {"exp": "never"},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"sub": ...},
        {"sub": ""},
        {"sub": "ada\r\nx: y"},
        {"sub": 8},
        {"jti": 8},
        {"azp": ["console"]},
        {"cnf": {"jkt": "x"}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"realm_access": {"roles": [{"admin": True}]}},
        {"realm_access": {"roles": 7}},
    ],
)
async def test_claims_that_are_wrong_are_refused(issuer: PlayedIssuer, make: Make, claims: dict[str, Any]) -> None:
    assert await is_refused(make(), issuer.token(KEYS["RS256"], **claims))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "secevent+jwt"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": "RS384"},
        {"alg": "ES256"},
        {"alg": "EdDSA"},
        {"kid": "made up"},
        {"kid": "ES256"},
        {"kid": "../RS256"},
        {"kid": ""},
        {"kid": None},
        {"jku": "https://evil.example/jwks"},
        {"jwk": EVIL.jwk},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"x5t": 7},
    ],
)
async def test_header_that_is_wrong_is_refused(issuer: PlayedIssuer, make: Make, header: dict[str, Any]) -> None:
    tokens = make()
    for key in (KEYS["RS256"], EVIL):
        assert await is_refused(tokens, issuer.token(key, header=header))


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"typ": "JWT"}, {"x5t": "abc"}])
async def test_header_that_issuers_write_is_taken(issuer: PlayedIssuer, make: Make, header: dict[str, Any]) -> None:
    assert not await is_refused(make(), issuer.token(KEYS["RS256"], header=header))


async def test_algorithm_that_the_setting_does_not_name_is_refused(issuer: PlayedIssuer, make: Make) -> None:
    tokens = make(algorithms=frozenset({"ES256"}))
    assert not await is_refused(tokens, issuer.token(KEYS["ES256"]))
    assert await is_refused(tokens, issuer.token(KEYS["RS256"]))


async def test_issuer_is_not_asked_about_a_token_that_cannot_be_good(issuer: PlayedIssuer, make: Make) -> None:
    tokens = make(algorithms=frozenset({"ES256"}))
    for header in ({"alg": "RS256"}, {"alg": "HS256"}, {"alg": "none"}, {"alg": "ES256", "typ": "logout+jwt"}):
        assert await is_refused(tokens, issuer.token(KEYS["ES256"], header=header))
    assert issuer.asked == []


async def test_another_issuers_key_proves_nothing(issuer: PlayedIssuer) -> None:
    """Two issuers are trusted; neither may speak for the other."""
    async with play_issuer() as other:
        other.publish(EVIL)
        documents = IssuerDocuments()
        trusted = [OutsideIssuer(name, one.url, "sarvanom") for name, one in (("a", issuer), ("b", other))]
        tokens = OutsideTokens(trusted, documents.fetch, clock=Clock())
        assert tokens.issuers == {issuer.url, other.url}
        assert (await tokens.verify(other.token(EVIL))).principal.subject == "oidc:b:8f2c"
        assert await is_refused(tokens, other.token(EVIL, iss=issuer.url))
        assert await is_refused(tokens, issuer.token(KEYS["RS256"], iss=other.url))
        await tokens.aclose()
        await documents.aclose()


def es256_variants(token: str) -> dict[str, str]:
    """Return the token with its ECDSA signature in other spellings."""
    start, _, signature = token.rpartition(".")
    raw = decode(signature)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    spelled = {
        "zero": bytes(64),
        "r zero": bytes(32) + raw[32:],
        "s zero": raw[:32] + bytes(32),
        "s is the order": raw[:32] + P256_ORDER.to_bytes(32),
        "r and s are the order": P256_ORDER.to_bytes(32) * 2,
        "33 bytes each": b"\0" + raw[:32] + b"\0" + raw[32:],
        "DER": b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:],
        "swapped": raw[32:] + raw[:32],
        "truncated": raw[:63],
        "r alone": raw[:32],
    }
    for name, number, place in (("r", r, 0), ("s", s, 32)):
        if number + P256_ORDER < 2**256:
            spelled[f"{name} and the order"] = raw[:place] + (number + P256_ORDER).to_bytes(32) + raw[place + 32 :]
    return {name: f"{start}.{encode(variant)}" for name, variant in spelled.items()}


async def test_ecdsa_signature_in_another_spelling_is_refused(issuer: PlayedIssuer, make: Make) -> None:
    tokens, token = make(), issuer.token(KEYS["ES256"])
    assert not await is_refused(tokens, token)
    for variant in es256_variants(token).values():
        assert await is_refused(tokens, variant)


async def test_mirrored_ecdsa_signature_gives_its_bearer_nothing(issuer: PlayedIssuer, make: Make) -> None:
    """Both s and n - s are signatures by ECDSA's definition, and issuers send either, so that neither can be refused.

    Nothing here tells tokens apart by their signature: the twin says the same and is revoked with the original.
    """
    tokens, token = make(), issuer.token(KEYS["ES256"])
    start, _, signature = token.rpartition(".")
    raw = decode(signature)
    mirrored = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    assert await tokens.verify(f"{start}.{encode(mirrored)}") == await tokens.verify(token)


async def test_public_key_as_a_shared_secret_is_refused(issuer: PlayedIssuer, make: Make) -> None:
    tokens = make()
    await tokens.verify(issuer.token(KEYS["RS256"]))
    forged = KeyPair("HS256", unsigned, {"kid": "RS256"})
    assert await is_refused(tokens, issuer.token(forged))


@pytest.mark.parametrize("garbage", ["", "a.b.c", "x" * 10_000, "\ud800", write([], {}, unsigned)])
async def test_what_is_no_token_is_refused_without_asking_anybody(
    issuer: PlayedIssuer, make: Make, garbage: str
) -> None:
    assert await is_refused(make(), garbage)
    assert issuer.asked == []


async def test_stranger_cannot_make_us_ask_anybody_who_is_not_trusted(issuer: PlayedIssuer, make: Make) -> None:
    async with play_issuer() as stranger:
        stranger.publish(EVIL)
        assert await is_refused(make(), stranger.token(EVIL))
    assert (stranger.asked, issuer.asked) == ([], [])


async def test_our_audience_among_several_is_enough(issuer: PlayedIssuer, make: Make) -> None:
    assert not await is_refused(make(), issuer.token(KEYS["RS256"], aud=["account", "sarvanom"]))


@pytest.mark.parametrize(
    ("claims", "is_taken"),
    [
        ({}, True),
        ({"azp": "other"}, False),
        ({"azp": ...}, False),
        ({"azp": ..., "client_id": "console"}, True),
        ({"azp": "other", "client_id": "console"}, False),
    ],
)
async def test_only_clients_that_are_named_are_served(
    issuer: PlayedIssuer, make: Make, claims: dict[str, Any], *, is_taken: bool
) -> None:
    tokens = make(clients=frozenset({"console"}))
    assert await is_refused(tokens, issuer.token(KEYS["RS256"], **claims)) is not is_taken


@pytest.mark.parametrize(
    ("changed", "claims", "services"),
    [
        ({}, {}, None),
        ({}, {"services": ["chat"]}, None),
        ({"services": frozenset({"chat"})}, {"services": ["other"]}, {"chat"}),
        ({"services_claim": "services"}, {"services": ["chat", "search"]}, {"chat", "search"}),
        ({"services_claim": "services"}, {"services": "chat search"}, {"chat", "search"}),
        ({"services_claim": "services"}, {"services": []}, set()),
        ({"services_claim": "services"}, {"services": None}, set()),
        ({"services_claim": "services"}, {}, set()),
        ({"services_claim": "tenant.services"}, {"tenant": "chat"}, set()),
    ],
)
async def test_services_are_bound_by_the_setting(
    issuer: PlayedIssuer, make: Make, changed: dict[str, Any], claims: dict[str, Any], services: set[str] | None
) -> None:
    """Where a claim is to bind and is missing, nothing is seen rather than everything."""
    verified = await make(**changed).verify(issuer.token(KEYS["RS256"], **claims))
    assert verified.principal.services == services


@pytest.mark.parametrize(
    ("path", "claims", "expected"),
    [
        ("roles", {"roles": ["a", "b"]}, {"a", "b"}),
        ("roles", {"roles": "a b"}, {"a", "b"}),
        ("roles", {}, set()),
        ("roles", {"roles": None}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, {"a"}),
        ("realm_access.roles", {"realm_access": ["roles"]}, set()),
        ("resource_access.sarvanom.roles", {"resource_access": {"sarvanom": {"roles": ["a"]}}}, {"a"}),
        ("https://example.org/roles", {"https://example.org/roles": ["a"]}, {"a"}),
    ],
)
def test_path_leads_to_values(path: str, claims: dict[str, Any], expected: set[str]) -> None:
    assert claim_values(claims, path) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "a.b"]), JSON))
def test_any_claims_are_values_or_a_refusal(claims: dict[str, Any]) -> None:
    with suppress(Unauthorized):
        assert all(isinstance(value, str) for value in claim_values(claims, "a.b"))


def test_role_that_nobody_has_mapped_means_nothing() -> None:
    issuer = OutsideIssuer("google", "https://accounts.google.com", "id", roles={"a": Role.VIEWER})
    assert issuer.principal({"sub": "1", "roles": ["admin", "editor", "users:write"]}).scopes == frozenset()
    assert issuer.principal({"sub": "1", "roles": ["a", "admin"]}).scopes == ROLES[Role.VIEWER]


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "http://login.example.org"},
        {"name": ""},
        {"name": "Key:cloak"},
        {"audience": ""},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"RS256", "HS256"})},
        {"algorithms": frozenset({"none"})},
        {"services": frozenset(), "services_claim": "services"},
        {"leeway": -1},
        {"leeway": 301},
    ],
)
def test_issuer_that_cannot_be_trusted_is_refused_at_the_start(changed: dict[str, Any]) -> None:
    good = {"name": "main", "issuer": "https://login.example.org", "audience": "sarvanom"}
    with pytest.raises(ValueError, match=r"."):
        OutsideIssuer(**good | changed)


@pytest.mark.parametrize("other", [("b", "https://a.example"), ("a", "https://b.example")])
def test_issuer_that_is_named_twice_is_refused(other: tuple[str, str]) -> None:
    async def fetch(url: str) -> bytes:
        return url.encode()

    with pytest.raises(ValueError, match="twice"):
        OutsideTokens([OutsideIssuer("a", "https://a.example", "x"), OutsideIssuer(*other, "x")], fetch)


def test_settings_can_be_read_from_json() -> None:
    text = """{"name": "entra", "issuer": "https://login.microsoftonline.com/72f988bf/v2.0", "audience": "api://sarvanom",
               "roles": {"Sarvanom.Admin": "admin"}, "algorithms": ["RS256"], "services": ["chat"]}"""
    issuer = TypeAdapter(OutsideIssuer).validate_json(text)
    assert issuer.roles == {"Sarvanom.Admin": Role.ADMIN}
    assert issuer.algorithms == {"RS256"}
    assert issuer.services == frozenset({"chat"})
