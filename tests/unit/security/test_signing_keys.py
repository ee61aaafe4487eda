"""Keys that follow from the secret and the time alone."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import KeySet, thumbprint

from sarvanom.security.signing_keys import WEEK, SigningKeys
from tests.unit.security.tokens import NOW, SECRET, Clock

START = NOW - NOW % WEEK


def keys_at(now: float, secret: bytes = SECRET) -> SigningKeys:
    return SigningKeys(secret, clock=Clock(now))


def ids(keys: SigningKeys) -> list[Any]:
    return [key["kid"] for key in keys.jwks()["keys"]]


@given(st.floats(0, 2**40), st.binary(min_size=32, max_size=64))
def test_every_gateway_has_the_same_keys(now: float, secret: bytes) -> None:
    assert keys_at(now, secret).jwks() == keys_at(now, secret).jwks()
    assert keys_at(now, secret).current().private.as_dict(private=True) == (
        keys_at(now, secret).current().private.as_dict(private=True)
    )


def test_keys_stay_what_they_are() -> None:
    """Gateways of two versions run side by side during an update: what is derived must never change."""
    assert keys_at(NOW).current().key_id == "64XSDUg47BOCWoOZpIOvMMGbNbRgNUvMJqDC7pm7CV0"


def test_another_secret_another_period_and_another_week_give_other_keys() -> None:
    others = [keys_at(NOW, SECRET[::-1]), SigningKeys(SECRET, period=WEEK * 2, clock=Clock()), keys_at(NOW + WEEK * 3)]
    assert all(not set(ids(keys_at(NOW))) & set(ids(other)) for other in others)


def test_key_is_known_by_its_thumbprint() -> None:
    for key in keys_at(NOW).jwks()["keys"]:
        assert key["kid"] == thumbprint({name: key[name] for name in ("crv", "kty", "x")})


def test_published_keys_are_public() -> None:
    published: Any = keys_at(NOW).jwks()
    json.dumps(published)
    assert len(published["keys"]) == 3
    for key in published["keys"]:
        assert set(key) == {"kty", "crv", "x", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")
    assert all(not key.is_private for key in KeySet.import_key_set(published))


def test_found_keys_are_public_halves_of_what_signs() -> None:
    keys = keys_at(NOW)
    current = keys.current()
    found = keys.find(current.key_id)
    assert found == current
    assert isinstance(current.public.raw_value, Ed25519PublicKey)
    assert current.public.as_dict() == {
        name: value for name, value in current.private.as_dict().items() if name in ("kty", "crv", "x")
    }


def test_unknown_key_is_not_found() -> None:
    keys = keys_at(NOW)
    assert keys.find("") is None
    assert keys.find("../../etc/passwd") is None


def test_the_next_key_signs_in_the_next_week() -> None:
    clock = Clock(START)
    keys = SigningKeys(SECRET, clock=clock)
    before, now, after = ids(keys)
    assert keys.current().key_id == now
    clock.now = START + WEEK - 0.001
    assert keys.current().key_id == now
    clock.now = START + WEEK
    assert ids(keys)[:2] == [now, after]
    assert keys.current().key_id == after
    assert keys.find(before) is None
    clock.now = START
    assert ids(keys) == [before, now, after]


@given(st.floats(0, 2**33), st.floats(-WEEK, WEEK))
def test_a_key_that_signs_is_published_wherever_clocks_differ_by_less_than_a_week(now: float, skew: float) -> None:
    signing = keys_at(max(now, 0)).current()
    verifying = keys_at(max(now + skew, 0))
    assert verifying.find(signing.key_id) is not None


def test_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        SigningKeys(b"x" * 31)


def test_period_shorter_than_a_minute_is_refused() -> None:
    with pytest.raises(ValueError, match="60 seconds"):
        SigningKeys(SECRET, period=59)
