"""Secrets that documentation is full of are none."""

from base64 import urlsafe_b64encode
from random import Random

import pytest

from sarvanom.security.placeholders import is_placeholder


@pytest.mark.parametrize(
    "text",
    [
        "changeme-changeme-changeme-changeme",
        "CHANGE_ME_TO_SOMETHING_RANDOM_PLEASE",
        "sk-your-key-goes-here-0000000000000000",
        "replace-this-with-32-random-characters",
        "sk-example-example-example-example-1",
        "super-secret-super-secret-super-secret",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "01010101010101010101010101010101",
        "0123456789abcdef0123456789abcdef",
        "insecure-do-not-use-in-production-ok",
        "sk-test-test-test-test-test-test-test",
        "sk-admin-admin-Admin-admin-admin-admin-1",
        "sarvanom!sarvanom!sarvanom!sarvanom!",
        "Qx7Rq2Qx7Rq2Qx7Rq2Qx7Rq2Qx7Rq2Qx7Rq2",
        "sk-deadbeefdeadbeefdeadbeefdeadbeef",
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "sk-1234321234423413241324132413241111",
    ],
)
def test_placeholder_is_known(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("length", [16, 24, 32])
def test_random_secret_is_none(length: int) -> None:
    random = Random(length)  # the same ones each time
    for _ in range(5000):
        bytes = random.randbytes(length)
        assert not is_placeholder(bytes.hex())
        assert not is_placeholder("sk-" + urlsafe_b64encode(bytes).decode())
