"""API keys: their shape, their checksum, and what is kept of them."""

import re
from hashlib import sha256
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.api_keys import (
    MAX_KEY_LENGTH,
    derive_api_key,
    digest_of,
    hint_of,
    is_well_formed,
    make_key,
)

KEY = b"k" * 32


def test_key_has_a_prefix_that_scanners_know_and_an_id_of_its_own() -> None:
    made = [make_key() for _ in range(200)]
    for id, text in made:
        assert re.fullmatch(r"sk-sarvanom-[0-9A-Za-z]{49}", text)
        assert re.fullmatch(r"key-[0-9A-Za-z]{16}", id)
        assert is_well_formed(text)
    assert len({text for _, text in made}) == len({id for id, _ in made}) == 200


def test_checksum_is_a_crc_32_in_base62() -> None:
    text = make_key().text
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in text[-6:]:
        number = number * 62 + alphabet.index(digit)
    assert number == crc32(text[:-6].encode())


@given(st.integers(0, 60), st.sampled_from("0aZ-_ é\n"))
def test_mistyped_key_is_noticed(place: int, character: str) -> None:
    text = derive_api_key(KEY, "a").text
    mistyped = text[:place] + character + text[place + 1 :]
    assert is_well_formed(mistyped) is (mistyped == text or (place < 12 and _is_operators(mistyped)))


def _is_operators(text: str) -> bool:
    return (
        text.startswith("sk-")
        and not text.startswith("sk-sarvanom-")
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("", False),
        ("sk-", False),
        ("sk-" + "a" * 28, False),
        ("sk-" + "a" * 29, True),
        ("sk-" + "!~" * 20, True),
        ("sk-" + "a" * (MAX_KEY_LENGTH - 3), True),
        ("sk-" + "a" * (MAX_KEY_LENGTH - 2), False),
        ("sk-" + "a b" * 20, False),
        ("sk-" + "ä" * 40, False),
        ("sk-" + "a" * 40 + "\n", False),
        ("pk-" + "a" * 40, False),
        ("sk-sarvanom-" + "a" * 49, False),
        ("sk-sarvanom-" + "a" * 40, False),
    ],
)
def test_key_of_an_operators_choice_needs_length_alone(text: str, is_good: bool) -> None:
    assert is_well_formed(text) is is_good


def test_same_purpose_gives_the_same_key_and_no_other_does() -> None:
    assert derive_api_key(KEY, "key:a", "idem", "create") == derive_api_key(KEY, "key:a", "idem", "create")
    others = [
        ("key:a", "idem", "rotate"),
        ("key:ai", "dem", "create"),
        ("key:a", "idemcreate"),
        ("key:a", "idem", "", "create"),
    ]
    texts = {derive_api_key(KEY, *purpose).text for purpose in (("key:a", "idem", "create"), *others)}
    assert len(texts) == 5
    assert derive_api_key(b"o" * 32, "key:a").text != derive_api_key(KEY, "key:a").text


def test_only_a_digest_and_a_hint_are_kept() -> None:
    text = make_key().text
    assert digest_of(text) == sha256(text.encode()).hexdigest()
    assert hint_of(text) == text[:16]
    assert hint_of("sk-abcdefghijklmnop") == "sk-abcd"
