"""What a gateway states of a request: true of that request alone, and not for long."""

import re
from hashlib import sha256

import pytest

from sarvanom.security.principals import Principal
from sarvanom.security.statements import COVERED, WINDOW_MS, Statements
from sarvanom.shared.errors import Unauthorized

KEY = b"k" * 32
NOW = 1_800_000_000_000
ADA = Principal("key:ada", frozenset({"users:read", "users:write"}), frozenset({"shop", "Ünï · code"}))
HEADERS = [
    (b"x-request-id", b"r"),
    (b"content-type", b"application/json"),
    (b"if-match", b'"7"'),
    (b"idempotency-key", b'"k"'),
]
BODY = b'{"a": 1}'


def statements(now: int = NOW, key: bytes = KEY) -> Statements:
    return Statements(key, clock_ms=lambda: now)


def stated(principal: Principal = ADA, body: bytes | None = BODY) -> bytes:
    return statements().sign(principal, "POST", b"/users?x=1", HEADERS, body)


@pytest.mark.parametrize(
    "principal", [ADA, Principal("key:b"), Principal("user:c", frozenset({"users:read"}), None), Principal("")]
)
def test_principal_is_stated_as_it_is(principal: Principal) -> None:
    found = statements().verify(stated(principal), "POST", b"/users?x=1", HEADERS)
    assert found == (principal, sha256(BODY).digest())


@pytest.mark.parametrize(("body", "digest"), [(b"", sha256(b"").digest()), (None, None)])
def test_empty_body_is_covered_and_one_that_is_still_to_be_made_is_not(body: bytes | None, digest: object) -> None:
    assert statements().verify(stated(body=body), "POST", b"/users?x=1", HEADERS).body_digest == digest


def test_statement_fits_into_a_header() -> None:
    assert re.fullmatch(rb"[!-~]+", stated())


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", b"/users?x=1", HEADERS),
        ("POST", b"/users?x=2", HEADERS),
        ("POST", b"/users", HEADERS),
        ("POST", b"/users?x=1", HEADERS[:-1]),
        ("POST", b"/users?x=1", [*HEADERS, (b"idempotency-key", b'"k"')]),
        ("POST", b"/users?x=1", [*HEADERS, (b"if-none-match", b"*")]),
        ("POST", b"/users?x=1", [HEADERS[0], (b"content-type", b"application/x-ndjson"), *HEADERS[2:]]),
        ("POST", b"/users?x=1", [*HEADERS[:2], (b"if-match", b'"8"'), HEADERS[3]]),
        ("POST", b"/users?x=1", [(b"x-request-id", b"other"), *HEADERS[1:]]),
        *(("POST", b"/users?x=1", [*HEADERS, (name, b"x")]) for name in sorted(COVERED)),
    ],
)
def test_statement_is_of_one_request_alone(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Unauthorized, match="No gateway"):
        statements().verify(stated(), method, target, headers)


def test_headers_that_change_nothing_may_differ() -> None:
    others = [(b"user-agent", b"other"), *HEADERS, (b"sarvanom-identity", stated()), (b"host", b"h")]
    assert statements().verify(stated(), "POST", b"/users?x=1", others).principal == ADA


@pytest.mark.parametrize("forged", [b"", b".", b"1.2.3.4.5", b"....", b"1", b"\xff\xfe", b"1." * 5000])
def test_what_is_no_statement_is_refused(forged: bytes) -> None:
    with pytest.raises(Unauthorized, match="No gateway"):
        statements().verify(forged, "POST", b"/users?x=1", HEADERS)


def test_no_byte_can_be_changed() -> None:
    good = stated()
    for place in range(len(good)):
        changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(Unauthorized):
            statements().verify(changed, "POST", b"/users?x=1", HEADERS)


def test_another_secret_states_nothing() -> None:
    with pytest.raises(Unauthorized):
        statements(key=b"o" * 32).verify(stated(), "POST", b"/users?x=1", HEADERS)


@pytest.mark.parametrize(("skew", "words"), [(WINDOW_MS, None), (WINDOW_MS + 1, "old"), (-WINDOW_MS - 1, "ahead")])
def test_statement_lasts_a_minute_and_clocks_may_differ_by_as_much(skew: int, words: str | None) -> None:
    late = statements(NOW + skew)
    if words is None:
        assert late.verify(stated(), "POST", b"/users?x=1", HEADERS).principal == ADA
        return
    with pytest.raises(Unauthorized, match=rf"60 s {words}.*clocks"):
        late.verify(stated(), "POST", b"/users?x=1", HEADERS)
