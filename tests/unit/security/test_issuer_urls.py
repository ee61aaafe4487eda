"""URLs of issuers and of their documents."""

import pytest

from sarvanom.security.issuer_urls import check_issuer_url, is_loopback, may_be_read


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.org",
        "https://login.example.org/",
        "https://login.example.org:8443/realms/main",
        "http://localhost:8080/realms/main",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "HTTPS://login.example.org",
    ],
)
def test_issuer_may_be(url: str) -> None:
    check_issuer_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example.org",
        "http://login.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://10.0.0.1",
        "http://[::2]",
        "http://0.0.0.0",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@login.example.org",
        "https://localhost@evil.example",
        "https://login.example.org?",
        "https://login.example.org/?a=1",
        "https://login.example.org/#",
        "https://login.example.org:port",
        "https://login.example.org:99999",
        "https://[::1",
        "https://login.example.org/a b",
        "https://login.example.org\\@evil.example",
        "https://log\u0456n.example.org",
        "https://login.example.org\n",
        "https://login.exa\tmple.org",
    ],
)
def test_issuer_may_not_be(url: str) -> None:
    with pytest.raises(ValueError, match="no issuer"):
        check_issuer_url(url)


def test_document_may_have_a_query() -> None:
    assert may_be_read("https://login.example.org/keys?p=1")
    assert not may_be_read("https://login.example.org/keys#1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("::1", True), ("127.0.0.53", True), ("example.org", False), ("", False)],
)
def test_loopback_is_this_machine(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected
