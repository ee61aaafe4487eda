"""Keyrings: the first key seals, all open, and what is no key is refused without being repeated."""

import base64
import secrets

import pytest

from sarvanom.security.encryption import KEY_BYTES, KeyMissing, SealBroken
from sarvanom.security.keyring import BadMasterKeys, Keyring, new_key, parse_keyring
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring


def test_a_new_key_is_a_key_and_never_the_same() -> None:
    made = {new_key() for _ in range(50)}
    assert len(made) == 50
    assert len(parse_keyring("\n".join(made), "file").ids) == 50


@pytest.mark.parametrize(
    "text",
    [
        f"{MASTER_KEY},{OTHER_KEY}",
        f"{MASTER_KEY} {OTHER_KEY}\n",
        f"# first\n{MASTER_KEY}\n\n  # second, which was the first\n{OTHER_KEY}=\n",
        f"{MASTER_KEY.replace('-', '+').replace('_', '/')}=\r\n,{OTHER_KEY}",
        f"{MASTER_KEY},{OTHER_KEY},{MASTER_KEY}",
    ],
)
def test_keys_are_read_however_they_are_separated(text: str) -> None:
    assert parse_keyring(text, "here").ids == keyring(MASTER_KEY, OTHER_KEY).ids


@pytest.mark.parametrize("text", ["", " ", "\n#only a comment\n", ",,"])
def test_no_key_at_all_is_said_to_be_so(text: str) -> None:
    with pytest.raises(BadMasterKeys, match=r"^here holds no master key: make one with `sarvanom secrets keygen`$"):
        parse_keyring(text, "here")


@pytest.mark.parametrize(
    "key",
    [
        "changeme",
        "hunter2",
        "0" * 64,
        MASTER_KEY[:-2],
        MASTER_KEY + "AAA",
        base64.b64encode(b"x" * KEY_BYTES).decode(),
        base64.b64encode(b"change-me-change-me-change-me-32").decode(),
        base64.b64encode(b"0123456789012345" * 2).decode(),
        "ü" * 43,
        MASTER_KEY[:20] + "!" + MASTER_KEY[21:],
    ],
)
def test_a_placeholder_or_short_key_is_refused_by_its_place_and_not_repeated(key: str) -> None:
    with pytest.raises(BadMasterKeys, match=r"^here: key 2 is ") as caught:
        parse_keyring(f"{MASTER_KEY},{key}", "here")
    assert key not in str(caught.value)
    assert MASTER_KEY not in str(caught.value)


def test_random_keys_are_never_taken_for_placeholders() -> None:
    assert min(len(set(secrets.token_bytes(KEY_BYTES))) for _ in range(10_000)) > 16


def test_the_first_key_seals_and_all_open() -> None:
    old, both, new = keyring(MASTER_KEY), keyring(OTHER_KEY, MASTER_KEY), keyring(OTHER_KEY)
    before, after = old.seal(b"plain", b"c"), both.seal(b"plain", b"c")
    assert both.open(before, b"c") == both.open(after, b"c") == new.open(after, b"c") == b"plain"
    with pytest.raises(KeyMissing, match=f"^{old.ids[0]}$"):
        new.open(before, b"c")
    with pytest.raises(SealBroken):
        both.open(before, b"d")


def test_digests_of_former_keys_are_known() -> None:
    old, both = keyring(MASTER_KEY), keyring(OTHER_KEY, MASTER_KEY)
    assert both.former_digests(b"text") == (old.digest(b"text"),)
    assert old.former_digests(b"text") == ()
    assert both.digest(b"text") == keyring(OTHER_KEY).digest(b"text")


def test_a_keyring_shows_no_key() -> None:
    ring: Keyring = keyring()
    assert MASTER_KEY not in f"{ring!r} {vars(ring)}"
