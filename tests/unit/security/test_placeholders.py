"""Secrets that documentation is full of are none."""

import secrets

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
    ],
)
def test_placeholder_is_known(text: str) -> None:
    assert is_placeholder(text)


def test_random_secret_is_none() -> None:
    assert not any(is_placeholder(secrets.token_urlsafe(32)) for _ in range(2000))
    assert not any(is_placeholder(secrets.token_hex(32)) for _ in range(2000))
