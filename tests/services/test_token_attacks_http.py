"""What is known to have fooled verifiers of JWTs, sent to a running gateway; and tokens that are right, for others."""

import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import OKPKey

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.signing_keys import SigningKeys
from tests.harness.identity import ADMIN_KEY, INTERNAL_SECRET
from tests.services.answers import problem_of
from tests.services.logins import Realm, granted
from tests.services.realms import PUBLIC_URL, running_realm
from tests.unit.security.tokens import Sign, claims_of, decode, ed25519, encode, header_of, rs256, unsigned, write

KEYS = SigningKeys(INTERNAL_SECRET.encode())
"""The keys of the installation under test, for attacks that somebody within could make."""
RIGHT_KEY: Any = KEYS.current().private.private_key
RIGHT: Sign = ed25519(RIGHT_KEY)
EVIL_KEY = Ed25519PrivateKey.from_private_bytes(b"evil" * 8)
EVIL_JWK = OKPKey.import_key(EVIL_KEY.public_key()).as_dict()
PRINCIPAL = Principal("key:key-administrator", SCOPES)


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with running_realm(tmp_path_factory.mktemp("realm"), gateways=1) as running:
        yield running


@pytest.fixture(scope="module")
def good(realm: Realm) -> str:
    answer = realm.token(grant_type="client_credentials", basic=("key-administrator", ADMIN_KEY))
    token: str = granted(answer)["access_token"]
    assert realm.status(token) == 200
    return token


def is_refused(realm: Realm, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.get(f"{realm.url}/users?limit=1", headers=headers)
    if answer.status_code == 200:
        return False
    assert problem_of(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert not [part for part in token.split(".") if len(part) >= 8 and part in answer.text]
    return True


def changed(token: str, sign: Sign = RIGHT, *, claims: dict[str, Any] | None = None, **header: Any) -> str:
    """Return the token with other claims and another header; `...` leaves one out."""
    head = {name: value for name, value in (header_of(token) | header).items() if value is not ...}
    body = {name: value for name, value in (claims_of(token) | (claims or {})).items() if value is not ...}
    return write(head, body, sign)


def test_what_is_changed_in_nothing_is_let_in(realm: Realm, good: str) -> None:
    """So that the attacks below are refused for what they change, and for nothing else."""
    assert not is_refused(realm, changed(good))
    assert not is_refused(realm, changed(good, claims={"jti": "another"}))


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "HS256", "RS256", "ES256", "Ed25519"])
def test_another_algorithm(realm: Realm, good: str, algorithm: str) -> None:
    assert is_refused(realm, changed(good, alg=algorithm))
    assert is_refused(realm, changed(good, unsigned, alg=algorithm))
    head, claims, _ = changed(good, alg=algorithm).split(".")
    assert is_refused(realm, f"{head}.{claims}.")
    assert is_refused(realm, f"{head}.{claims}")


def test_published_key_as_a_shared_secret(realm: Realm, good: str) -> None:
    (jwk,) = [
        key
        for key in httpx2.get(f"{realm.url}/.well-known/jwks.json").json()["keys"]
        if key["kid"] == header_of(good)["kid"]
    ]
    public = RIGHT_KEY.public_key()
    secrets = [
        decode(jwk["x"]),
        jwk["x"].encode(),
        json.dumps(jwk).encode(),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        b"",
    ]
    for secret in secrets:

        def sign(text: bytes, secret: bytes = secret) -> bytes:
            return hmac.digest(secret, text, "sha256")

        for algorithm in ("HS256", "EdDSA"):
            assert is_refused(realm, changed(good, sign, alg=algorithm))
    rsa_key = rsa.generate_private_key(65_537, 2_048)
    for algorithm in ("RS256", "EdDSA"):
        assert is_refused(realm, changed(good, rs256(rsa_key), alg=algorithm))


@pytest.mark.parametrize(
    "key_id",
    [
        "../../../../dev/null",
        "x' UNION SELECT 'key' --",
        "| cat /etc/passwd",
        "https://evil.example/jwks.json",
        "",
        0,
        ...,
    ],
)
def test_key_id_that_names_something_else(realm: Realm, good: str, key_id: Any) -> None:
    assert is_refused(realm, changed(good, kid=key_id))
    assert is_refused(realm, changed(good, ed25519(EVIL_KEY), kid=key_id))


def test_key_id_of_another_published_key(realm: Realm, good: str) -> None:
    for key in KEYS.jwks()["keys"]:
        if key["kid"] != header_of(good)["kid"]:
            assert is_refused(realm, changed(good, kid=key["kid"]))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": EVIL_JWK},
        {"jwk": EVIL_JWK, "kid": OKPKey.import_key(EVIL_KEY.public_key()).thumbprint()},
        {"jku": "https://evil.example/jwks.json"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 0},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_header_that_brings_a_key_or_changes_what_is_read(realm: Realm, good: str, header: dict[str, Any]) -> None:
    assert is_refused(realm, changed(good, ed25519(EVIL_KEY), **header))
    assert is_refused(realm, changed(good, **header))


@pytest.mark.parametrize("type_", ["JWT", "application/at+jwt", "dpop+jwt", "", ...])
def test_token_of_another_type(realm: Realm, good: str, type_: Any) -> None:
    assert is_refused(realm, changed(good, typ=type_))


def test_stripped_changed_and_borrowed_signatures(realm: Realm, good: str) -> None:
    head, claims, signature = good.split(".")
    other = changed(good, claims={"sub": "user:eve"})
    for made in (
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{claims}.{encode(bytes(64))}",
        f"{head}.{claims}.{encode(decode(signature)[:63])}",
        f"{head}.{claims}.{other.rpartition('.')[2]}",
        f"{head}.{other.split('.')[1]}.{signature}",
        f"{good}.{signature}",
        f"{good}=",
        "..",
    ):
        assert is_refused(realm, made)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": 1_700_000_000},
        {"exp": ...},
        {"exp": "9999999999"},
        {"nbf": 99_999_999_999},
        {"iat": 99_999_999_999},
        {"aud": "https://other.example.org"},
        {"aud": [PUBLIC_URL, "https://other.example.org"]},
        {"aud": ...},
        {"iss": "https://evil.example"},
        {"iss": PUBLIC_URL + "/"},
        {"iss": ...},
        {"sid": ...},
        {"sid": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sid": "../authenticate"},
        {"scope": ["users:read"]},
        {"sub": ...},
    ],
    ids=str,
)
def test_claims_that_are_not_right_though_signed(realm: Realm, good: str, claims: dict[str, Any]) -> None:
    assert is_refused(realm, changed(good, claims=claims))


def test_token_that_says_more_than_its_session_gets_no_more(realm: Realm) -> None:
    """Whoever could sign would still get nothing that crud did not grant."""
    answer = realm.token(grant_type="client_credentials", basic=("key-administrator", ADMIN_KEY), scope="users:read")
    token = changed(granted(answer)["access_token"], claims={"scope": " ".join(SCOPES)})
    assert realm.status(token) == 200
    assert realm.status(token, target="/models") == 403


@pytest.mark.parametrize("secret", [INTERNAL_SECRET, "another secret of another installation!"])
def test_token_of_no_session_is_good_nowhere(realm: Realm, secret: str) -> None:
    tokens = AccessTokens(SigningKeys(secret.encode()), issuer=PUBLIC_URL, audience=PUBLIC_URL)
    for family in (None, "A" * 22):
        assert is_refused(realm, tokens.issue(PRINCIPAL, client_id="x", family=family).text)
