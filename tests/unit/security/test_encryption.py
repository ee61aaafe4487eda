"""Envelope encryption: what is sealed opens only as it was made, by its key, where it was made for."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.security.encryption import KEY_BYTES, MasterKey, SealBroken, key_id

KEY = MasterKey(bytes(range(KEY_BYTES)))
OTHER = MasterKey(bytes(range(1, KEY_BYTES + 1)))
BITS = st.integers(0, 7)


@given(st.binary(max_size=2_000), st.binary(max_size=100))
def test_what_was_sealed_opens(plain: bytes, context: bytes) -> None:
    sealed = KEY.seal(plain, context)
    assert KEY.open(sealed, context) == plain
    assert key_id(sealed) == KEY.id


@given(st.binary(min_size=4, max_size=200))
def test_what_is_sealed_holds_nothing_of_what_was(plain: bytes) -> None:
    payload = urlsafe_b64decode(KEY.seal(plain, b"").split(".")[2] + "==")
    assert plain not in payload


def test_sealing_twice_gives_two_values() -> None:
    assert len({KEY.seal(b"plain", b"context") for _ in range(100)}) == 100


@given(st.data(), st.binary(max_size=50))
@settings(max_examples=300)
def test_no_bit_can_be_changed(data: st.DataObject, plain: bytes) -> None:
    version, id, text = KEY.seal(plain, b"context").split(".")
    payload = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(BITS)
    with pytest.raises(SealBroken):
        KEY.open(f"{version}.{id}.{urlsafe_b64encode(payload).decode().rstrip('=')}", b"context")


@given(st.data())
@settings(max_examples=300)
def test_no_character_can_be_changed(data: st.DataObject) -> None:
    sealed = KEY.seal(b"plain text", b"context")
    index = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != sealed[index]))
    with pytest.raises(SealBroken):
        KEY.open(sealed[:index] + other + sealed[index + 1 :], b"context")


@given(st.data())
def test_nothing_can_be_cut_off_or_added(data: st.DataObject) -> None:
    sealed = KEY.seal(b"plain text", b"context")
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for changed in (sealed[:cut], sealed + data.draw(st.text("AB=.\n", min_size=1)), sealed[cut + 1 :]):
        with pytest.raises(SealBroken):
            KEY.open(changed, b"context")


@pytest.mark.parametrize("sealed", ["", "v1", "v1..", f"v1.{KEY.id}.", f"v1.{KEY.id}.A", f"v1.{KEY.id}.AAAAB", "x.y.z"])
def test_what_is_no_sealed_value_is_refused(sealed: str) -> None:
    with pytest.raises(SealBroken):
        KEY.open(sealed, b"")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_value_opens_in_no_other_context(one: bytes, other: bytes) -> None:
    if one != other:
        with pytest.raises(SealBroken):
            KEY.open(KEY.seal(b"plain", one), other)


def test_another_key_does_not_open_even_under_the_same_id() -> None:
    sealed = KEY.seal(b"plain", b"context")
    for forged in (sealed, sealed.replace(KEY.id, OTHER.id)):
        with pytest.raises(SealBroken):
            OTHER.open(forged, b"context")


def test_the_parts_of_two_values_do_not_fit_together() -> None:
    one, other = (urlsafe_b64decode(KEY.seal(b"plain", b"context").split(".")[2] + "==") for _ in range(2))
    for mixed in (one[:12] + other[12:], one[:60] + other[60:]):
        with pytest.raises(SealBroken):
            KEY.open(f"v1.{KEY.id}.{urlsafe_b64encode(mixed).decode().rstrip('=')}", b"context")


@pytest.mark.parametrize("size", [0, 16, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_master_key_has_one_length(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKey(b"x" * size)


def test_a_digest_takes_the_key() -> None:
    assert KEY.digest(b"text") == KEY.digest(b"text") != OTHER.digest(b"text")
    assert KEY.digest(b"text") != hmac.digest(bytes(range(KEY_BYTES)), b"text", "sha256")


def test_a_key_says_nothing_of_itself_but_its_id() -> None:
    shown = f"{KEY!r} {KEY}"
    assert bytes(range(KEY_BYTES)).hex() not in shown
    assert KEY.id == MasterKey(bytes(range(KEY_BYTES))).id != OTHER.id


def test_format_of_the_first_version_stays_readable() -> None:
    """A value that was sealed when the format was made."""
    sealed = (
        "v1.55f08f20e1dcb515.Z1xkieF96W8cmy6tUQCSJlmVQpNLrvg4H3fJOsukVOwZTDRcqiMWjroksvjf"
        "ZqOH3M5d8oB9O6kTcWMnpOru4lOoQoHfmG6_qrgjbBQu8ZiLSUCdYEB1LXMOaFn58NfL"
    )
    assert KEY.open(sealed, b"context") == b"a secret of long ago"
