"""When an issuer is asked for its keys, how often, and what happens while it cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sarvanom.backends.identity.issuer_documents import IssuerDocuments
from sarvanom.security.issuer_keys import IssuerKeys, KeyLifetimes
from sarvanom.shared.errors import ServiceUnavailable, Unauthorized
from tests.unit.security.played_issuer import DISCOVERY, JWKS, PlayedIssuer, answer, make_ed25519, play_issuer
from tests.unit.security.tokens import Clock
from tests.unit.shared.clients.peers import answering, serve

ONE, TWO = make_ed25519("one"), make_ed25519("two")
LIFETIMES = KeyLifetimes(fresh=3_600, stale=86_400, pause=30)


@pytest.fixture
async def issuer() -> AsyncIterator[PlayedIssuer]:
    async with play_issuer() as played:
        played.publish(ONE)
        yield played


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000)


@pytest.fixture
async def keys(issuer: PlayedIssuer, clock: Clock) -> AsyncIterator[IssuerKeys]:
    documents = IssuerDocuments()
    made = IssuerKeys(issuer.url, documents.fetch, lifetimes=LIFETIMES, clock=clock)
    yield made
    await made.aclose()
    await documents.aclose()


async def has(keys: IssuerKeys, key_id: str) -> bool:
    try:
        key = await keys.find(key_id, "EdDSA")
    except Unauthorized:
        return False
    return bool(key)


async def test_keys_are_found_by_discovery(keys: IssuerKeys, issuer: PlayedIssuer) -> None:
    key: Any = await keys.find("one", "EdDSA")
    assert key.as_dict()["x"] == ONE.jwk["x"]
    assert issuer.asked == [DISCOVERY, JWKS]


async def test_issuer_is_asked_once_an_hour(keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock) -> None:
    for clock.now in (1_000, 1_001, 4_599):
        assert await has(keys, "one")
    assert len(issuer.asked) == 2
    clock.now = 4_600
    assert await has(keys, "one")
    assert len(issuer.asked) == 4


async def test_key_that_is_withdrawn_is_gone_within_the_hour(
    keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock
) -> None:
    assert await has(keys, "one")
    issuer.publish(TWO)
    clock.now += 3_600
    assert not await has(keys, "one")
    assert await has(keys, "two")


async def test_unknown_key_is_asked_for_at_once(keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock) -> None:
    assert await has(keys, "one")
    issuer.publish(ONE, TWO)
    clock.now += 30
    assert await has(keys, "two")
    assert len(issuer.asked) == 4


async def test_made_up_keys_do_not_make_us_ask_more_often_than_the_pause(
    keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock
) -> None:
    for second in range(91):
        clock.now = 1_000 + second
        assert not await has(keys, f"made up {second}")
        assert await has(keys, "one")
    assert len(issuer.asked) == 2 * 4


async def test_key_for_another_algorithm_is_unknown(keys: IssuerKeys) -> None:
    assert await has(keys, "one")
    with pytest.raises(Unauthorized):
        await keys.find("one", "RS256")


async def test_callers_at_the_same_time_share_one_question(keys: IssuerKeys, issuer: PlayedIssuer) -> None:
    issuer.gate = asyncio.Event()
    waiting = [asyncio.create_task(has(keys, "one")) for _ in range(50)]
    await issuer.heard.wait()
    issuer.gate.set()
    assert await asyncio.gather(*waiting) == [True] * 50
    assert issuer.asked == [DISCOVERY, JWKS]


async def test_caller_who_goes_away_takes_nothing_from_the_others(keys: IssuerKeys, issuer: PlayedIssuer) -> None:
    issuer.gate = asyncio.Event()
    first, second = (asyncio.create_task(has(keys, "one")) for _ in range(2))
    await issuer.heard.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.gate.set()
    assert await second
    assert issuer.asked == [DISCOVERY, JWKS]


async def test_issuer_that_was_never_reached_is_not_a_refusal(
    keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock
) -> None:
    issuer.is_down = True
    for clock.now in (1_000, 1_001, 1_029):
        with pytest.raises(ServiceUnavailable):
            await keys.find("one", "EdDSA")
    assert len(issuer.asked) == 1
    issuer.is_down = False
    clock.now = 1_030
    assert await has(keys, "one")


async def test_keys_serve_on_while_the_issuer_is_away_but_not_for_ever(
    keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock
) -> None:
    assert await has(keys, "one")
    issuer.is_down = True
    clock.now = 1_000 + 3_600
    assert await has(keys, "one")
    clock.now = 1_000 + 3_600 + 86_400 - 1
    assert await has(keys, "one")
    clock.now = 1_000 + 3_600 + 86_400 + 60
    with pytest.raises(ServiceUnavailable):
        await keys.find("one", "EdDSA")
    issuer.is_down = False
    clock.now += 30
    assert await has(keys, "one")


async def test_nobody_waits_for_an_issuer_that_was_away(keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock) -> None:
    assert await has(keys, "one")
    issuer.is_down = True
    clock.now += 3_600
    assert await has(keys, "one")
    issuer.is_down = False
    issuer.gate = asyncio.Event()
    issuer.publish(ONE, TWO)
    clock.now += 30
    async with asyncio.timeout(5):
        assert await has(keys, "one")  # while the question hangs
    assert keys._asking is not None
    issuer.gate.set()
    assert await has(keys, "two")


async def test_unknown_key_while_the_issuer_is_away_is_not_a_refusal(
    keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock
) -> None:
    assert await has(keys, "one")
    issuer.is_down = True
    for later in (30, 31):
        clock.now = 1_000 + later
        with pytest.raises(ServiceUnavailable):
            await keys.find("two", "EdDSA")
        assert await has(keys, "one")


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://10.0.0.1/jwks"},
        {"jwks_uri": "http://evil.example/jwks"},
        {"jwks_uri": ["https://evil.example"]},
    ],
    ids=str,
)
async def test_discovery_that_leads_astray_is_not_followed(
    keys: IssuerKeys, issuer: PlayedIssuer, discovery: dict[str, Any]
) -> None:
    issuer.discovery = discovery
    with pytest.raises(ServiceUnavailable):
        await keys.find("one", "EdDSA")
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize("slash", ["/", "//", "/."])
async def test_issuer_is_compared_to_the_letter(issuer: PlayedIssuer, slash: str) -> None:
    issuer.discovery = {"issuer": issuer.url + slash}
    documents = IssuerDocuments()
    keys = IssuerKeys(issuer.url, documents.fetch)
    with pytest.raises(ServiceUnavailable):
        await keys.find("one", "EdDSA")
    await documents.aclose()


async def test_issuer_whose_name_ends_in_a_slash(issuer: PlayedIssuer) -> None:
    """As Auth0's do."""
    issuer.discovery = {"issuer": issuer.url + "/"}
    documents = IssuerDocuments()
    assert await has(IssuerKeys(issuer.url + "/", documents.fetch), "one")
    assert issuer.asked == [DISCOVERY, JWKS]
    await documents.aclose()


GARBAGE = [
    answer(b""),
    answer(b"<html>"),
    answer(b"[]"),
    answer(b"\xff\xfe"),
    answer(b'{"issuer": 1, "issuer": 2}'),
    answer(b"[" * 200_000),
    answer(b"{}", "404 Not Found"),
    answer(b"{}", "503 Service Unavailable"),
    answer(b"x" * 300_000),
    b"nonsense\r\n\r\n",
]


@pytest.mark.parametrize("path", [DISCOVERY, JWKS])
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_not_an_answer(keys: IssuerKeys, issuer: PlayedIssuer, path: str, garbage: bytes) -> None:
    issuer.answers[path] = garbage
    with pytest.raises(ServiceUnavailable):
        await keys.find("one", "EdDSA")


async def test_garbage_does_not_replace_keys(keys: IssuerKeys, issuer: PlayedIssuer, clock: Clock) -> None:
    assert await has(keys, "one")
    issuer.answers[JWKS] = answer(b'{"keys": null}')
    clock.now += 3_600
    assert await has(keys, "one")


async def test_redirect_to_another_host_is_not_followed(keys: IssuerKeys, issuer: PlayedIssuer) -> None:
    evil = json.dumps({"keys": [TWO.jwk]}).encode()
    async with serve(answering(answer(evil))) as elsewhere:
        issuer.answers[JWKS] = answer(b"", "302 Found", f"location: {elsewhere.url}/\r\n")
        with pytest.raises(ServiceUnavailable):
            await keys.find("two", "EdDSA")
    assert elsewhere.connections == 0


async def test_keys_of_an_issuer_with_tls_are_not_read_without_it() -> None:
    asked = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return b'{"issuer": "https://login.example.org", "jwks_uri": "http://127.0.0.1:1/jwks"}'

    with pytest.raises(ServiceUnavailable):
        await IssuerKeys("https://login.example.org", fetch).find("one", "EdDSA")
    assert asked == [f"https://login.example.org{DISCOVERY}"]


async def test_closing_gives_up_what_is_being_asked(keys: IssuerKeys, issuer: PlayedIssuer) -> None:
    issuer.gate = asyncio.Event()
    waiting = asyncio.create_task(has(keys, "one"))
    await issuer.heard.wait()
    await keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
