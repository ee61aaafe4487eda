"""Keys at the gateway: asked for once a lease, never let in longer than that."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sarvanom.security.api_keys import derive_api_key, digest_of, hint_of
from sarvanom.security.principals import Principal
from sarvanom.services.gateway.api_keys import ApiKeys
from sarvanom.services.gateway.authentication import BearerAuthentication
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable, Unauthorized
from sarvanom.shared.models.key_models import ApiKey, Role

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LEASE = 5.0


def text_of(name: str) -> str:
    return derive_api_key(b"k" * 32, name).text


def key(name: str, **fields: Any) -> ApiKey:
    text = text_of(name)
    given = {"roles": [Role.VIEWER], "digest": digest_of(text), **fields}
    return ApiKey(key_id=f"key-{name}", name=name, hint=hint_of(text), **given)


class Directory:
    """Keys by digest, and how often somebody asked; its clocks stand still until they are moved."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {one.digest: one for one in keys}
        self.keys |= {one.previous_digest: one for one in keys if one.previous_digest is not None}
        self.asked: list[str] = []
        self.error: SarvanOMError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.seconds = 0.0

    async def find(self, digest: str) -> ApiKey | None:
        self.asked.append(digest)
        found = self.keys.get(digest)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found

    def api_keys(self, size: int = 100) -> ApiKeys:
        return ApiKeys(
            self.find,
            lease=LEASE,
            size=size,
            monotonic=lambda: self.seconds,
            now=lambda: NOW + timedelta(seconds=self.seconds),
        )


async def test_key_is_who_it_says_and_is_asked_for_once_a_lease() -> None:
    directory = Directory(key("a", scopes=["users:write"], services=["s"]))
    keys = directory.api_keys()
    for seconds, asked in ((0.0, 1), (LEASE - 0.01, 1), (LEASE, 2), (LEASE * 2 - 0.01, 2)):
        directory.seconds = seconds
        principal = await keys.authenticate(text_of("a"))
        assert principal.subject == "key:key-a"
        assert principal.may("users:write")
        assert not principal.may("models:write")
        assert principal.services == frozenset({"s"})
        assert len(directory.asked) == asked


async def test_revoked_key_ends_with_its_lease() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys()
    await keys.authenticate(text_of("a"))
    directory.keys.clear()
    directory.seconds = LEASE - 0.01
    await keys.authenticate(text_of("a"))
    directory.seconds = LEASE
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("a"))


async def test_lease_begins_when_the_question_is_sent() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys()
    directory.gate.clear()
    asking = asyncio.create_task(keys.authenticate(text_of("a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    directory.seconds = LEASE - 1
    directory.keys.clear()  # revoked while the answer was on its way
    directory.gate.set()
    await asking
    directory.seconds = LEASE
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("a"))


async def test_lease_is_not_extended_while_crud_is_away() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys()
    await keys.authenticate(text_of("a"))
    directory.error = ServiceUnavailable("away")
    directory.seconds = LEASE - 0.01
    await keys.authenticate(text_of("a"))
    directory.seconds = LEASE
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await keys.authenticate(text_of("a"))
    directory.error = None
    await keys.authenticate(text_of("a"))


@pytest.mark.parametrize("text", ["", "sk-", "sk-sarvanom-" + "a" * 49, text_of("a")[:-1], text_of("a") + "0"])
async def test_what_is_no_key_is_refused_without_asking(text: str) -> None:
    directory = Directory(key("a"))
    with pytest.raises(Unauthorized) as refused:
        await directory.api_keys().authenticate(text)
    assert directory.asked == []
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


async def test_unknown_keys_are_remembered_and_push_out_no_good_one() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys(size=3)
    await keys.authenticate(text_of("a"))
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await keys.authenticate(text_of("unknown"))
    assert len(directory.asked) == 2
    for number in range(50):
        with pytest.raises(Unauthorized):
            await keys.authenticate(text_of(f"u{number}"))
    await keys.authenticate(text_of("a"))
    assert len(directory.asked) == 52
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("unknown"))
    assert len(directory.asked) == 53  # it was forgotten


async def test_key_that_is_made_after_it_was_refused_is_known_within_a_lease() -> None:
    directory = Directory()
    keys = directory.api_keys()
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("a"))
    directory.keys = Directory(key("a")).keys
    directory.seconds = LEASE
    assert (await keys.authenticate(text_of("a"))).subject == "key:key-a"


async def test_memory_is_bounded_and_forgets_what_was_not_used_for_longest() -> None:
    directory = Directory(*(key(name) for name in "abcd"))
    keys = directory.api_keys(size=3)
    for name in "abcad":
        await keys.authenticate(text_of(name))
    assert len(directory.asked) == 4
    await keys.authenticate(text_of("a"))
    assert len(directory.asked) == 4
    await keys.authenticate(text_of("b"))
    assert len(directory.asked) == 5


async def test_those_who_ask_at_once_share_a_question_and_one_that_leaves_takes_nothing_away() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys()
    directory.gate.clear()
    asking = [asyncio.create_task(keys.authenticate(text_of("a"))) for _ in range(20)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    directory.gate.set()
    found = await asyncio.gather(*asking[1:])
    assert len(directory.asked) == 1
    assert {principal.subject for principal in found} == {"key:key-a"}


async def test_failed_question_is_asked_again_and_fails_all_who_shared_it() -> None:
    directory = Directory(key("a"))
    keys = directory.api_keys()
    directory.error = ServiceUnavailable("away")
    failed = await asyncio.gather(*(keys.authenticate(text_of("a")) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [ServiceUnavailable] * 3
    directory.error = None
    await keys.authenticate(text_of("a"))
    assert len(directory.asked) == 2


async def test_expiry_is_looked_at_each_time_also_within_a_lease() -> None:
    directory = Directory(key("a", expires_at=NOW + timedelta(seconds=2)))
    keys = directory.api_keys()
    directory.seconds = 1.9
    await keys.authenticate(text_of("a"))
    directory.seconds = 2.0
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("a"))
    assert len(directory.asked) == 1


@pytest.mark.parametrize(("expires", "overlap", "ends"), [(None, 3, 3), (2, 3, 2), (9, 3, 3)])
async def test_key_before_a_rotation_ends_with_the_overlap_or_before(
    expires: int | None, overlap: int, ends: int
) -> None:
    rotated = key(
        "new",
        previous_digest=digest_of(text_of("old")),
        previous_expires_at=NOW + timedelta(seconds=overlap),
        expires_at=None if expires is None else NOW + timedelta(seconds=expires),
    )
    directory = Directory(rotated)
    keys = directory.api_keys()
    directory.seconds = ends - 0.1
    assert (await keys.authenticate(text_of("old"))).subject == "key:key-new"
    directory.seconds = ends
    with pytest.raises(Unauthorized):
        await keys.authenticate(text_of("old"))
    if expires is None or expires > ends:
        await keys.authenticate(text_of("new"))


class Other:
    async def authenticate(self, token: str) -> Principal:
        return Principal(f"user:{token}")


async def test_key_that_was_good_is_no_stranger_and_is_recalled_for_a_lease() -> None:
    directory = Directory(key("a", expires_at=NOW + timedelta(seconds=12)), key("b"))
    keys = BearerAuthentication(directory.api_keys(size=1), Other(), lease=LEASE)
    text = text_of("a")
    assert [keys.is_stranger(given) for given in (text, text[:-1], "eyJ", text_of("c"))] == [True, False, False, True]
    assert keys.recall(text) is None
    principal = await keys.authenticate(text)
    assert (keys.recall(text), keys.recall("eyJ"), keys.is_stranger(text)) == (principal, None, False)
    directory.seconds += LEASE
    assert (keys.recall(text), keys.is_stranger(text)) == (None, False), "it may be asked about again"
    directory.seconds += LEASE
    await keys.authenticate(text)
    directory.seconds += 3
    assert keys.recall(text) is None, "its expiry counts to the moment"
    directory.keys.pop(digest_of(text))
    directory.seconds += LEASE
    with pytest.raises(Unauthorized):
        await keys.authenticate(text)
    assert keys.is_stranger(text)
    for name in ("b", "b"):
        await keys.authenticate(text_of(name))
    assert not keys.is_stranger(text_of("b"))


async def test_tokens_of_other_kinds_are_for_others_to_tell() -> None:
    keys = Directory(key("a")).api_keys()
    both = BearerAuthentication(keys, Other(), lease=LEASE)
    assert (await both.authenticate("eyJ")).subject == "user:eyJ"
    assert (await both.authenticate(text_of("a"))).subject == "key:key-a"
    with pytest.raises(Unauthorized):
        await BearerAuthentication(keys, lease=LEASE).authenticate("eyJ")


@pytest.mark.parametrize("change", ["revoked", "changed", "away"])
async def test_proof_is_refuted_when_the_key_is_gone_or_another_or_cannot_be_asked_for(change: str) -> None:
    directory = Directory(key("a"))
    keys = ApiKeys(directory.find, lease=0.01, now=lambda: NOW)
    authentication = BearerAuthentication(keys, lease=0.02)
    principal = await authentication.authenticate(text_of("a"))
    watching = asyncio.create_task(authentication.until_refuted(text_of("a"), principal))
    await asyncio.sleep(0.1)
    assert not watching.done()
    match change:
        case "revoked":
            directory.keys.clear()
        case "changed":
            directory.keys = Directory(key("a", roles=[Role.SERVICE])).keys
        case _:
            directory.error = ServiceUnavailable("away")
    await asyncio.wait_for(watching, 5)
