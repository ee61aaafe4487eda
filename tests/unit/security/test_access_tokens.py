"""Our own access tokens: what they say, and when they are taken."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import ROLES, SCOPES, Role
from sarvanom.security.signing_keys import WEEK, SigningKeys
from sarvanom.shared.errors import Unauthorized
from tests.unit.security.tokens import NOW, SECRET, Clock, claims_of, ed25519, header_of, write

ISSUER = "https://api.example.org"
AUDIENCE = "sarvanom"
ADA = Principal("user:ada", ROLES[Role.EDITOR], frozenset({"chat", "search"}))


def tokens(clock: Clock, **changed: Any) -> AccessTokens:
    keys = SigningKeys(SECRET, clock=clock)
    return AccessTokens(keys, issuer=ISSUER, audience=AUDIENCE, clock=clock, **changed)


def sign(claims: object) -> str:
    """Sign any claims with the key that is right."""
    key = SigningKeys(SECRET, clock=Clock()).current()
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": key.key_id}
    private: Any = key.private.private_key
    return write(header, claims, ed25519(private))


def good_claims(**changed: Any) -> dict[str, Any]:
    claims = claims_of(tokens(Clock()).issue(ADA, client_id="cli", family="F").text) | changed
    return {name: value for name, value in claims.items() if value is not ...}


@pytest.mark.parametrize("services", [None, frozenset[str](), frozenset({"chat"})])
def test_token_says_again_what_it_was_issued_for(services: frozenset[str] | None) -> None:
    principal = replace(ADA, services=services)
    issued = tokens(Clock()).issue(principal, client_id="cli", family="F")
    verified = tokens(Clock()).verify(issued.text)
    assert verified.principal == principal
    assert (verified.token_id, verified.family, verified.client_id) == (issued.token_id, "F", "cli")
    assert (verified.issuer, verified.issued_at, verified.expires_at) == (ISSUER, int(NOW), int(NOW) + 900)
    assert (issued.lifetime, issued.scopes) == (900, principal.scopes)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=260),
    st.frozensets(st.sampled_from(sorted(SCOPES))),
    st.none() | st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=20),
)
def test_whatever_a_principal_is_survives(
    subject: str, scopes: frozenset[str], services: frozenset[str] | None
) -> None:
    principal = Principal(f"user:{subject}", scopes, services)
    issued = tokens(Clock()).issue(principal, client_id="cli")
    assert tokens(Clock()).verify(issued.text).principal == principal


def test_token_has_the_claims_of_the_profile() -> None:
    """RFC 9068, sections 2.1 and 2.2."""
    issued = tokens(Clock()).issue(ADA, client_id="cli", family="F")
    assert header_of(issued.text) == {
        "alg": "EdDSA",
        "typ": "at+jwt",
        "kid": SigningKeys(SECRET, clock=Clock()).current().key_id,
    }
    assert claims_of(issued.text) == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user:ada",
        "client_id": "cli",
        "scope": " ".join(sorted(ADA.scopes)),
        "services": ["chat", "search"],
        "sid": "F",
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 900,
        "jti": issued.token_id,
    }


def test_token_without_a_binding_or_a_family_does_not_name_them() -> None:
    issued = tokens(Clock()).issue(Principal("client:ci"), client_id="ci")
    assert not {"services", "sid"} & set(claims_of(issued.text))
    assert tokens(Clock()).verify(issued.text).family is None


def test_no_two_tokens_have_the_same_id() -> None:
    one = tokens(Clock())
    assert len({one.issue(ADA, client_id="cli").token_id for _ in range(100)}) == 100


def test_outsider_verifies_a_token_with_the_published_keys() -> None:
    issued = tokens(Clock()).issue(ADA, client_id="cli")
    jwks: Any = SigningKeys(SECRET, clock=Clock()).jwks()
    published = KeySet.import_key_set(jwks)
    with pytest.warns(UserWarning, match="RFC 9864"):
        found = jwt.decode(issued.text, published, registry=JWSRegistry(algorithms=["EdDSA"]))
    assert found.claims["sub"] == "user:ada"


def test_issued_token_does_not_show_itself() -> None:
    issued = tokens(Clock()).issue(ADA, client_id="cli")
    assert issued.text not in repr(issued)


def test_token_lives_for_its_time_and_the_leeway() -> None:
    clock = Clock()
    one = tokens(clock, lifetime=60, leeway=5)
    text = one.issue(ADA, client_id="cli").text
    for now, is_taken in ((NOW - 5, True), (NOW + 64.9, True), (NOW + 65, False), (NOW - 5.1, False)):
        clock.now = now
        if is_taken:
            one.verify(text)
        else:
            with pytest.raises(Unauthorized):
                one.verify(text)


@pytest.mark.parametrize("second", [-1, 0, 1])
def test_token_outlives_the_turn_of_its_key(second: int) -> None:
    turn = NOW - NOW % WEEK + WEEK
    clock = Clock(turn + second)
    text = tokens(clock).issue(ADA, client_id="cli").text
    clock.now = turn + 899 + second
    tokens(clock).verify(text)
    clock.now = turn + second - 20  # another gateway's clock
    tokens(clock).verify(text)


def test_token_of_a_key_that_is_gone_is_refused_before_it_could_expire() -> None:
    clock = Clock()
    text = tokens(clock, lifetime=WEEK - 60).issue(ADA, client_id="cli").text
    clock.now += 2 * WEEK
    with pytest.raises(Unauthorized, match="signature"):
        tokens(clock).verify(text)


def test_unknown_scopes_allow_nothing() -> None:
    assert tokens(Clock()).verify(sign(good_claims(scope="users:read root:* "))).principal.scopes == {"users:read"}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": ISSUER + "/"},
        {"iss": ...},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": ...},
        {"aud": []},
        {"aud": [AUDIENCE, "other"]},
        {"aud": [[AUDIENCE]]},
        {"aud": {AUDIENCE: 1}},
        {"exp": ...},
        {"exp": None},
        {"exp": True},
        {"exp": "1900000000"},
        {"exp": -1},
        {"exp": 2**60},
        {"exp": float("1e999")},
        {"exp": NOW - 31},
        {"nbf": NOW + 31},
        {"nbf": "0"},
        {"nbf": True},
        {"iat": False},
        {"iat": NOW + 31},
        {"iat": [NOW]},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": "user:ada\nroot"},
        {"sub": "user:\u0430da"},
        {"sub": "x" * 513},
        {"jti": ...},
        {"jti": 7},
        {"client_id": ...},
        {"sid": 7},
        {"sid": None},
        {"scope": ...},
        {"scope": ["users:read"]},
        {"services": None},
        {"services": "chat"},
        {"services": [1]},
        {"services": {"chat": True}},
    ],
    ids=str,
)
def test_claims_that_are_wrong_are_refused_even_with_the_right_key(changed: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refused:
        tokens(Clock()).verify(sign(good_claims(**changed)))
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_these_claims_are_otherwise_right() -> None:
    tokens(Clock()).verify(sign(good_claims()))
    tokens(Clock()).verify(sign(good_claims(aud=[AUDIENCE], exp=NOW + 0.5, nbf=..., iat=...)))


@pytest.mark.parametrize(
    "text",
    [
        b'{"sub": "user:eve", "sub": "user:ada"}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"exp": NaN}',
        b'{"exp": ' + b"9" * 5_000 + b"}",
        b"[" * 5_000,
        b'"text"',
        b"[]",
        b"",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"sub": "user:ada"}',
        b'{"sub": "user:ada"} {"sub": "user:eve"}',
    ],
    ids=lambda text: repr(text[:24]),
)
def test_payload_that_is_no_clear_object_is_refused_even_with_the_right_key(text: bytes) -> None:
    with pytest.raises(Unauthorized, match="malformed"):
        tokens(Clock()).verify(sign(text))


def test_deeply_nested_claim_is_no_harm() -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    tokens(Clock()).verify(sign(good_claims(extra=deep)))


@pytest.mark.parametrize("changed", [{"leeway": -1}, {"leeway": 301}, {"lifetime": 0}, {"lifetime": WEEK - 59}])
def test_times_that_cannot_hold_are_refused_at_the_start(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"leeway|outlive"):
        tokens(Clock(), **changed)


def test_longest_life_a_token_can_have() -> None:
    tokens(Clock(), lifetime=WEEK - 60)


def test_more_services_than_a_token_can_name() -> None:
    with pytest.raises(ValueError, match="more services"):
        tokens(Clock()).issue(replace(ADA, services=frozenset(f"service-{n}" for n in range(1_000))), client_id="cli")
