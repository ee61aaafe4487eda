"""Trusted hosts: names, addresses, ports and wildcards, and everything that is none of them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.errors import UntrustedHost
from sarvanom.web.middleware import trusted_hosts
from sarvanom.web.middleware.trusted_hosts import TrustedHostMiddleware
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched

ALLOWED = ["localhost", "127.0.0.1", "::1", "API.example.org", "*.example.com", "crud_1"]


async def is_served(host: bytes, allowed: list[str] = ALLOWED) -> bool:
    app = TrustedHostMiddleware(Replying(), allowed)
    answers = []
    for _ in range(2):  # the second time it is remembered
        try:
            await ask(app, http_scope(headers=[(b"accept", b"*/*"), (b"host", host)]))
            answers.append(True)
        except UntrustedHost:
            answers.append(False)
    assert answers[0] is answers[1]
    return answers[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LOCALHOST:",
        "localhost.",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "api.example.org",
        "a.example.com",
        "a.b.EXAMPLE.com:443",
        "crud_1:8001",
    ],
)
async def test_an_allowed_host_is_served(host: str) -> None:
    assert await is_served(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "evil.org",
        "example.com",
        "example.org",
        "evilexample.com",
        "localhost.evil.org",
        "127.0.0.1.evil.org",
        "[::2]",
        "0.0.0.0",
        "www.api.example.org",
    ],
)
async def test_any_other_host_is_refused(host: str) -> None:
    assert not await is_served(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8000",
        "localhost:x",
        "localhost:65536",
        "localhost:-1",
        "localhost:000080",
        "localhost:80:80",
        "local host",
        "localhost/",
        "user@localhost",
        "localhost, evil.org",
        "localhost..",
        ".localhost",
        "a..b",
        "::1",
        "[::1",
        "[:::1]",
        "[127.0.0.1]",
        "[::1]x",
        "[::1%25eth0]",
        "localhost\n",
        "loc\xe4lhost",
        "a" * 300,
        "%6cocalhost",
    ],
)
async def test_a_malformed_host_is_refused_even_if_any_is_allowed(host: str) -> None:
    assert not await is_served(host.encode("latin-1"), ["*"])


@given(st.binary(max_size=40) | st.text("lochst.:[]1 08@/", max_size=16).map(str.encode))
async def test_no_spelling_gets_past_an_exact_name(host: bytes) -> None:
    if await is_served(host, ["localhost"]):
        name, _, port = host.decode().partition(":")
        assert name.lower().removesuffix(".") == "localhost"
        assert port == "" or 0 <= int(port) <= 65535


@given(st.ip_addresses(v=6), st.integers(0, 65535))
async def test_an_address_is_served_in_every_spelling(address: ipaddress.IPv6Address, port: int) -> None:
    for spelling in (address.compressed, address.exploded, address.exploded.upper()):
        assert await is_served(f"[{spelling}]:{port}".encode(), [str(address)])
        assert await is_served(f"[{spelling}]".encode(), [f"[{address}]"])


@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"localhost")]])
async def test_there_must_be_one_host(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UntrustedHost):
        await ask(TrustedHostMiddleware(Replying(), ["*"]), http_scope(headers=headers))


@pytest.mark.parametrize("pattern", ["", "*x", "a.*.org", "*.", "**", "http://a", "a:80", "[::1]:80", "a b", "::x"])
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        TrustedHostMiddleware(Replying(), [pattern])


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_hosts, "_MAX_REMEMBERED", 5)
    middleware = TrustedHostMiddleware(Replying(), ["*"])
    for number in range(20):
        assert (await ask(middleware, http_scope(headers=[(b"host", b"h%d" % number)]))).status == 200
    assert len(middleware._remembered) == 5


async def test_the_refusal_does_not_repeat_the_header() -> None:
    with pytest.raises(UntrustedHost) as caught:
        await ask(TrustedHostMiddleware(Replying(), ["localhost"]), http_scope(headers=[(b"host", b"evil.org")]))
    assert "evil" not in caught.value.detail


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(TrustedHostMiddleware(app, ["localhost"]), app)
