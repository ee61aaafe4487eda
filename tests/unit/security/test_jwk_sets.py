"""Published keys: those that prove something are read, the others passed over."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from sarvanom.security.jwk_sets import ALGORITHMS, read_jwk_set
from tests.unit.security.played_issuer import MAKERS, make_ec, make_ed25519, make_rsa
from tests.unit.security.tokens import encode

RSA, EC, OKP = make_rsa("rsa"), make_ec("ec"), make_ed25519("okp")
PAIRS = {"RS256": RSA, "ES256": EC, "EdDSA": OKP}


def read(*keys: object) -> list[str]:
    return [key.key_id for key in read_jwk_set(json.dumps({"keys": keys}).encode())]


def test_keys_of_all_kinds_are_read() -> None:
    assert read(RSA.jwk, EC.jwk, OKP.jwk) == ["rsa", "ec", "okp"]
    assert read() == []


@pytest.mark.parametrize("algorithm", sorted(MAKERS))
def test_key_fits_its_own_algorithm_alone(algorithm: str) -> None:
    (key,) = read_jwk_set(json.dumps({"keys": [PAIRS[algorithm].jwk]}).encode())
    assert [name for name in (*ALGORITHMS, "none", "HS256") if key.fits(key.key_id, name)] == [algorithm]
    assert not key.fits("other", algorithm)


@pytest.mark.parametrize(
    ("pair", "algorithms"),
    [
        (RSA, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (EC, {"ES256"}),
        (OKP, {"EdDSA", "Ed25519"}),
    ],
    ids=["RSA", "EC", "OKP"],
)
def test_key_that_names_no_algorithm_fits_those_of_its_kind(pair: Any, algorithms: set[str]) -> None:
    jwk = {name: value for name, value in pair.jwk.items() if name != "alg"}
    (key,) = read_jwk_set(json.dumps({"keys": [jwk]}).encode())
    assert {name for name in ALGORITHMS if key.fits(key.key_id, name)} == algorithms


def test_key_on_another_curve_fits_that_curves_algorithm() -> None:
    jwk = ECKey.import_key(ec.generate_private_key(ec.SECP384R1()).public_key()).as_dict()
    (key,) = read_jwk_set(json.dumps({"keys": [{**jwk, "kid": "p384"}]}).encode())
    assert [name for name in ALGORITHMS if key.fits("p384", name)] == ["ES384"]


@pytest.mark.parametrize(
    "changed",
    [
        {"kid": ...},
        {"kid": 7},
        {"kty": ...},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "AKP"},
        {"kty": ["RSA"]},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": None},
        {"key_ops": "verify"},
        {"alg": 7},
        {"n": ...},
        {"n": "!"},
        {"n": ""},
        {"n": 7},
        {"n": ["AQAB"]},
        {"e": "AA"},
        {"e": "Ag"},
        {"e": "AQAAAAAAAAAB"},
    ],
    ids=str,
)
def test_key_that_proves_nothing_is_passed_over(changed: dict[str, Any]) -> None:
    jwk = {name: value for name, value in (RSA.jwk | changed).items() if value is not ...}
    assert read(jwk, OKP.jwk) == ["okp"]


def test_members_that_do_not_matter_are_not_looked_at() -> None:
    assert read(RSA.jwk | {"x5c": 7, "x5t": None, "key_ops": ["verify"], "d": "private", "extra": {}}) == ["rsa"]


@pytest.mark.parametrize(
    "changed", [{"crv": "P-384"}, {"crv": "secp256k1"}, {"crv": 1}, {"x": "AAAA"}, {"y": EC.jwk["x"]}]
)
def test_point_that_is_not_on_the_curve_is_passed_over(changed: dict[str, Any]) -> None:
    assert read(EC.jwk | changed) == []


def test_key_for_agreement_proves_nothing() -> None:
    for key in read_jwk_set(json.dumps({"keys": [OKP.jwk | {"crv": "X25519", "alg": "EdDSA"}]}).encode()):
        assert not any(key.fits("okp", name) for name in ALGORITHMS)


def test_weak_and_monstrous_rsa_keys_are_passed_over() -> None:
    numbers = RSAKey.import_key(RSA.jwk).public_key.public_numbers()
    for modulus in (numbers.n >> 1_025 | 1, numbers.n << 8_000 | 1):
        huge = modulus.to_bytes((modulus.bit_length() + 7) // 8)
        assert read(RSA.jwk | {"n": encode(huge)}) == []


@pytest.mark.parametrize("entry", [None, 7, "key", [], {}])
def test_entry_that_is_no_key_is_passed_over(entry: object) -> None:
    assert read(entry, OKP.jwk) == ["okp"]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"<html>", b"\xff"])
def test_document_that_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_jwk_set(document)


def test_endless_set_is_refused() -> None:
    with pytest.raises(ValueError, match="no JWK Set"):
        read(*[OKP.jwk] * 65)


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=4), max_size=2)
MEMBERS = st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y", "d"])


@given(st.sampled_from([RSA, EC, OKP]), st.dictionaries(MEMBERS, JSON))
def test_no_key_breaks_the_reading_of_the_others(pair: Any, changed: dict[str, Any]) -> None:
    assert read(pair.jwk | changed, OKP.jwk | {"kid": "last"})[-1] == "last"
