"""What is known to have fooled verifiers of JWTs (RFC 8725 and the CVEs behind it); none of it fools ours."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey, OKPKey

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.jose import MAX_TOKEN_LENGTH
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.shared.errors import Unauthorized
from tests.unit.security.tokens import (
    SECRET,
    Clock,
    Sign,
    as_json,
    claims_of,
    decode,
    ed25519,
    encode,
    es256,
    header_of,
    rs256,
    unsigned,
    write,
)

KEYS = SigningKeys(SECRET, clock=Clock())
TOKENS = AccessTokens(KEYS, issuer="https://api.example.org", audience="sarvanom", clock=Clock())
GOOD = TOKENS.issue(Principal("user:ada", SCOPES), client_id="cli", family="F").text
HEADER, CLAIMS, SIGNATURE = GOOD.split(".")
RIGHT_KEY: Any = KEYS.current().private.private_key
EVIL_KEY = Ed25519PrivateKey.from_private_bytes(b"evil" * 8)
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def is_refused(token: str) -> bool:
    try:
        TOKENS.verify(token)
    except Unauthorized as error:
        refused = error
    else:
        return False
    assert refused.status == 401
    assert refused.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert not [part for part in token.split(".") if len(part) >= 8 and part in refused.detail]
    return True


def with_header(*, sign: Sign = unsigned, **changed: Any) -> str:
    header = {name: value for name, value in (header_of(GOOD) | changed).items() if value is not ...}
    return write(header, claims_of(GOOD), sign)


def test_the_token_that_the_attacks_start_from_is_good() -> None:
    assert not is_refused(GOOD)
    assert not is_refused(with_header(sign=ed25519(RIGHT_KEY)))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "none ", "", "null", "plain"])
@pytest.mark.parametrize("signature", ["", SIGNATURE, encode(b"\0")], ids=["none", "another", "zero"])
def test_algorithm_none(name: str, signature: str) -> None:
    header = encode(json.dumps(header_of(GOOD) | {"alg": name}).encode())
    assert is_refused(f"{header}.{CLAIMS}.{signature}")


@pytest.mark.parametrize("alg", [None, True, 0, ["EdDSA"], {"EdDSA": 1}, ...])
def test_algorithm_that_is_no_text(alg: Any) -> None:
    assert is_refused(with_header(alg=alg, sign=ed25519(RIGHT_KEY)))


def shared_secrets() -> list[bytes]:
    """Return all that an attacker can make of the public key."""
    key = KEYS.current().public
    raw: Any = key.raw_value
    return [
        raw.public_bytes(Encoding.Raw, PublicFormat.Raw),
        raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(key.as_dict()).encode(),
        json.dumps(KEYS.jwks()).encode(),
        key.as_dict()["x"].encode(),  # type: ignore[union-attr]
        b"",
    ]


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", shared_secrets(), ids=lambda secret: f"{len(secret)} bytes")
def test_public_key_as_a_shared_secret(alg: str, secret: bytes) -> None:
    digest = f"sha{alg[2:]}"
    assert is_refused(with_header(alg=alg, sign=lambda text: hmac.digest(secret, text, digest)))
    assert is_refused(with_header(sign=lambda text: hmac.digest(secret, text, digest)))


def test_another_algorithms_signature() -> None:
    rsa_key = rsa.generate_private_key(65_537, 2_048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    for claimed in ("RS256", "PS256", "ES256", "ES256K", "Ed448", "EdDSA", "Ed25519"):
        assert is_refused(with_header(alg=claimed, sign=rs256(rsa_key)))
        assert is_refused(with_header(alg=claimed, sign=es256(ec_key)))
        assert is_refused(with_header(alg=claimed, sign=ed25519(EVIL_KEY)))
    for claimed in ("RS256", "ES256", "Ed25519"):
        assert is_refused(with_header(alg=claimed, sign=ed25519(RIGHT_KEY)))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "x' UNION SELECT 'key' --",
        "| cat /etc/passwd",
        "https://evil.example/jwks.json",
        "",
        "\0",
        KEYS.current().key_id + "\0",
        KEYS.current().key_id.lower(),
        " " + KEYS.current().key_id,
        "__class__",
        "x" * 500,
        None,
        0,
        [KEYS.current().key_id],
        {"kid": KEYS.current().key_id},
        ...,
    ],
)
def test_key_id_that_names_something_else(kid: Any) -> None:
    assert is_refused(with_header(kid=kid, sign=ed25519(EVIL_KEY)))
    assert is_refused(with_header(kid=kid, sign=ed25519(RIGHT_KEY)))


def test_key_id_of_another_published_key() -> None:
    for key in KEYS.jwks()["keys"]:
        if key["kid"] != KEYS.current().key_id:
            assert is_refused(with_header(kid=key["kid"], sign=ed25519(RIGHT_KEY)))


EVIL_JWK = OKPKey.import_key(EVIL_KEY.public_key()).as_dict()


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": EVIL_JWK},
        {"jwk": EVIL_JWK, "kid": OKPKey.import_key(EVIL_KEY.public_key()).thumbprint()},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"crit": []},
        {"crit": ["exp"], "exp": 0},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"enc": "A128GCM"},
    ],
)
def test_header_that_brings_a_key_or_changes_what_is_read(header: dict[str, Any]) -> None:
    assert is_refused(with_header(**header, sign=ed25519(EVIL_KEY)))
    assert is_refused(with_header(**header, sign=ed25519(RIGHT_KEY)))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "dpop+jwt", "", None, 1, ...])
def test_token_of_another_type(typ: Any) -> None:
    assert is_refused(with_header(typ=typ, sign=ed25519(RIGHT_KEY)))


@pytest.mark.parametrize("length", range(64))
def test_truncated_signature(length: int) -> None:
    assert is_refused(f"{HEADER}.{CLAIMS}.{encode(decode(SIGNATURE)[:length])}")


def test_signature_that_is_longer_or_all_zero() -> None:
    assert is_refused(f"{HEADER}.{CLAIMS}.{encode(decode(SIGNATURE) + bytes(1))}")
    assert is_refused(f"{HEADER}.{CLAIMS}.{encode(decode(SIGNATURE) * 2)}")
    assert is_refused(f"{HEADER}.{CLAIMS}.{encode(bytes(64))}")


def test_ed25519_signature_with_the_order_added() -> None:
    """The same signature in a second spelling, which RFC 8032, section 5.1.7, forbids."""
    signature = decode(SIGNATURE)
    s = int.from_bytes(signature[32:], "little")
    for factor in range(1, 9):
        twin = (s + factor * ED25519_ORDER).to_bytes(33, "little")
        if twin[32] == 0:
            assert is_refused(f"{HEADER}.{CLAIMS}.{encode(signature[:32] + twin[:32])}")


def test_ed25519_key_of_small_order() -> None:
    """A signature that any message has under a key of small order is none under ours."""
    for point in (bytes(32), b"\1" + bytes(31), bytes(31) + b"\x80"):
        assert is_refused(f"{HEADER}.{CLAIMS}.{encode(point + bytes(32))}")


@given(st.data())
def test_any_changed_character(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD) - 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    other = data.draw(st.sampled_from([one for one in alphabet if one != GOOD[place]]))
    assert is_refused(GOOD[:place] + other + GOOD[place + 1 :])


@given(st.data())
def test_any_character_too_much_or_too_little(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD)))
    more = data.draw(st.characters())
    assert is_refused(GOOD[:place] + more + GOOD[place:])
    assert is_refused(GOOD[:place] + GOOD[place + 1 :]) or place == len(GOOD)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,60}(\.[A-Za-z0-9_-]{0,60}){0,5}", fullmatch=True))
def test_anything_else(text: str) -> None:
    assert is_refused(text)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
NAMES = st.text(max_size=4) | st.sampled_from(["alg", "kid", "typ", "crit", "aud", "exp", "sub", "scope", "services"])


@given(st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=3), max_size=8))
def test_any_header_and_any_claims(value: dict[str, Any]) -> None:
    assert is_refused(write(header_of(GOOD) | value, claims_of(GOOD), unsigned))
    assert is_refused(write(value, claims_of(GOOD), ed25519(RIGHT_KEY)))
    assert is_refused(write(header_of(GOOD), value, ed25519(RIGHT_KEY)))


def test_the_last_character_spelled_differently() -> None:
    """64 bytes leave four bits of the last character unused: fifteen more spellings, none of them canonical."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = last.index(GOOD[-1])
    twins = [GOOD[:-1] + last[spelled + bits] for bits in range(1, 16)]
    assert all(decode(twin.split(".")[2]) == decode(SIGNATURE) for twin in twins)
    assert all(is_refused(twin) for twin in twins)


@pytest.mark.parametrize(
    "token",
    [
        f"{GOOD}=",
        f"{GOOD}==",
        f"{GOOD}\n",
        f" {GOOD}",
        f"Bearer {GOOD}",
        GOOD.replace("-", "+").replace("_", "/") + "+",
        f"{HEADER}.{CLAIMS}",
        f"{HEADER}.{CLAIMS}.",
        f"{HEADER}..{SIGNATURE}",
        f".{CLAIMS}.{SIGNATURE}",
        f"{GOOD}.{SIGNATURE}",
        f"{GOOD}.{SIGNATURE}.{SIGNATURE}",
        f"{HEADER}A.{CLAIMS}.{SIGNATURE}",
        f"{HEADER}.{CLAIMS}.A",
        GOOD.replace("e", "\u0435", 1),
        GOOD.replace("A", "\uff21", 1),
        f"{HEADER}\u200b.{CLAIMS}.{SIGNATURE}",
        f"{GOOD}\ud800",
        json.dumps({"protected": HEADER, "payload": CLAIMS, "signature": SIGNATURE}),
        "",
        ".",
        "..",
    ],
)
def test_token_in_another_form(token: str) -> None:
    assert is_refused(token)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"%b"}',
        b'{"alg":"EdDSA","alg":"none","typ":"at+jwt","kid":"%b"}',
        b'{"alg":"EdDSA","typ":"at+jwt","kid":"evil","kid":"%b"}',
        b'{"alg":"EdDSA","typ":"at+jwt","\\u006bid":"evil","kid":"%b"}',
    ],
)
def test_header_that_says_something_twice(header: bytes) -> None:
    text = header % KEYS.current().key_id.encode()
    assert is_refused(write(text, claims_of(GOOD), ed25519(RIGHT_KEY)))


def test_header_that_is_no_object() -> None:
    for header in (b"[]", b'"EdDSA"', b"null", b"{", b"\xff", b"[" * 700, b'{"a":' * 140 + b"1" + b"}" * 140):
        assert is_refused(write(header, claims_of(GOOD), ed25519(RIGHT_KEY)))


def test_huge_tokens() -> None:
    assert is_refused("A" * (MAX_TOKEN_LENGTH + 1))
    with pytest.raises(Unauthorized):
        TOKENS.verify("A." * 50_000_000)
    padded = claims_of(GOOD) | {"padding": "x" * MAX_TOKEN_LENGTH}
    assert is_refused(write(header_of(GOOD), padded, ed25519(RIGHT_KEY)))
    assert is_refused(with_header(padding="x" * 1_024, sign=ed25519(RIGHT_KEY)))


def test_token_within_a_token() -> None:
    nested = write(header_of(GOOD) | {"cty": "JWT"}, GOOD.encode(), ed25519(RIGHT_KEY))
    assert is_refused(nested)
    assert is_refused(write(header_of(GOOD), GOOD.encode(), ed25519(RIGHT_KEY)))


def test_encrypted_token() -> None:
    key = OctKey.import_key(hashlib.sha256(SECRET).digest())
    encrypted = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, as_json(claims_of(GOOD)), key)
    assert is_refused(encrypted)


def test_parts_of_two_good_tokens() -> None:
    other = TOKENS.issue(Principal("user:eve"), client_id="cli").text.split(".")
    assert is_refused(f"{HEADER}.{CLAIMS}.{other[2]}")
    assert is_refused(f"{HEADER}.{other[1]}.{SIGNATURE}")
