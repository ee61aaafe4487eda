"""JSON that is read strictly."""

import json
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from sarvanom.security.jose import check_signature, parse_object, pinned_registry, read_token
from sarvanom.shared.errors import Unauthorized
from tests.unit.security.tokens import ed25519, write

HEADER = {"alg": "EdDSA", "kid": "1"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON))
def test_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
def test_name_that_stands_twice_is_refused(value: dict[str, int]) -> None:
    text = json.dumps(value)
    with pytest.raises(ValueError, match="twice"):
        parse_object(f"{text[:-1]}, {text[1:]}".encode())


@given(st.binary())
def test_anything_else_is_a_value_error(text: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(parse_object(text), dict)


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity"])
def test_number_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Infinity|NaN"):
        parse_object(b'{"a": %b}' % text)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_beyond_all_measure_is_refused(opening: bytes) -> None:
    with pytest.raises(ValueError, match="deeply"):
        parse_object(b'{"a":' + opening * 200_000)


def signed(header: object = HEADER, claims: object = b"{}", signature: bytes = bytes(64)) -> str:
    return write(header, claims, lambda _: signature)


def test_token_is_taken_apart() -> None:
    token = read_token(signed(claims={"sub": "ada"}))
    assert (token.algorithm, token.key_id, token.type, token.claims) == ("EdDSA", "1", "", {"sub": "ada"})


@pytest.mark.parametrize(
    "text",
    [
        signed(claims={"padding": "x" * 6_200}),
        signed(HEADER | {"padding": "x" * 740}),
        signed(signature=b"abc") + "A",
        signed(signature=b"x")[:-1] + "B",
        signed(signature=b"x") + "=",
        signed(claims=b"{ }").replace(".eyB9.", ".eyB9AA."),
        signed(claims=b"{}").replace(".e30.", ".e31."),
    ],
    ids=range(7),
)
def test_token_that_is_too_long_or_not_canonical_is_not_even_read(text: str) -> None:
    with pytest.raises(Unauthorized, match="malformed"):
        read_token(text)


def test_longest_token_is_read() -> None:
    assert len(read_token(signed(HEADER | {"padding": "x" * 700}, {"padding": "x" * 5_000})).text) > 7_000


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "EdDSA", "Ed25519", "made up"])
def test_registry_knows_no_other_algorithm_than_its_own(algorithm: str) -> None:
    with pytest.raises(Exception, match="not allowed"):
        pinned_registry("ES256").get_alg(algorithm)


def test_signature_by_an_algorithm_that_is_not_wanted_proves_nothing() -> None:
    """Whoever calls decides by which algorithms a key may prove anything; the token does not."""
    key = Ed25519PrivateKey.generate()
    token = read_token(write({"alg": "EdDSA", "kid": "1"}, {}, ed25519(key)))
    check_signature(token, OKPKey.import_key(key.public_key()), ["EdDSA"])
    with pytest.raises(Unauthorized, match="signature"):
        check_signature(token, OKPKey.import_key(key.public_key()), ["Ed25519"])


def test_eddsa_is_pinned_to_its_curve() -> None:
    assert pinned_registry("EdDSA").get_alg("EdDSA").name == "Ed25519"
