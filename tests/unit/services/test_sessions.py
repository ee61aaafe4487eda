"""Sessions over a store whose clock a test moves: how they begin, go on, and are over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sarvanom.backends.storage.contract import Write
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.api_keys import derive_api_key, digest_of, hint_of
from sarvanom.security.oauth import OAuthError
from sarvanom.security.passwords import Cost, Passwords
from sarvanom.security.refresh_tokens import Lifetimes, RefreshTokens
from sarvanom.services.crud.accounts import HashedFields
from sarvanom.services.crud.key_directory import KeyDirectory
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.sessions import Sessions
from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.key_models import ApiKey, Role
from sarvanom.shared.models.session_models import SessionAnswer, SessionEnd, SessionRequest
from sarvanom.shared.resources import ACCOUNTS, KEYS, SESSIONS
from tests.harness.secrets import sealed
from tests.unit.security.tokens import SECRET, Clock

PASSWORD = "Zwölf Boxkämpfer jagen"
CHEAP, TODAY = Cost(memory=64, time=1), Cost(memory=128, time=1)
LIFETIMES = Lifetimes(idle=1_000, absolute=2_500, grace=10)
KEY = derive_api_key(SECRET, "a key")


class World:
    """Sessions, and what they stand on."""

    def __init__(self, store: SealedStore) -> None:
        self.store = store
        self.clock = Clock()
        self.passwords = Passwords(cost=CHEAP)
        self.sessions = self.with_passwords(self.passwords)

    def with_passwords(self, passwords: Passwords) -> Sessions:
        tokens = RefreshTokens(SECRET, LIFETIMES)
        return Sessions(self.store, KeyDirectory(self.store), passwords, tokens, clock=self.clock)

    async def account(self, **fields: Any) -> None:
        given = {"account_id": "ada", "password": PASSWORD, "roles": [Role.EDITOR], **fields}
        account = await HashedFields(self.passwords).item(ACCOUNTS, Account(**given))
        await self.store.write(Write(ACCOUNTS, "ada", lambda _: account, account))

    async def key(self, **fields: Any) -> None:
        key = ApiKey(
            key_id=KEY.id, name="n", hint=hint_of(KEY.text), digest=digest_of(KEY.text), roles=[Role.VIEWER], **fields
        )
        await self.store.write(Write(KEYS, KEY.id, lambda _: key, key))

    async def log_in(self, sessions: Sessions | None = None, password: str = PASSWORD) -> SessionAnswer:
        return await (sessions or self.sessions).open(request("password", username="ada", password=password))

    async def refresh(self, token: str | None, **fields: Any) -> SessionAnswer:
        return await self.sessions.open(request("refresh_token", refresh_token=token, **fields))

    async def trade_key(self) -> SessionAnswer:
        fields = {"client_id": KEY.id, "client_digest": digest_of(KEY.text)}
        return await self.sessions.open(request("client_credentials", **fields))


def request(grant: str, **fields: Any) -> SessionRequest:
    return SessionRequest(**{"grant": grant, "client_id": "public", "lifetime": 930, **fields})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = sealed(SQLiteStore(tmp_path / "s.db"))
    made = World(store)
    yield made
    made.passwords.close()
    await store.aclose()


async def is_refused(asked: Any, error: str = "invalid_grant") -> bool:
    with pytest.raises(OAuthError) as caught:
        await asked
    return caught.value.error == error


async def test_session_stands_as_long_as_its_account_is_as_it_was(world: World) -> None:
    await world.account(services=["s"])
    session = await world.log_in()
    standing = await world.sessions.find(session.session_id)
    assert standing == session.standing
    assert standing is not None
    assert (standing.subject, standing.services, standing.ends_at) == ("user:ada", ["s"], None)
    await world.account(services=["s"])
    assert await world.sessions.find(session.session_id) is None
    assert await is_refused(world.refresh(session.refresh_token))
    assert await world.store.read(SESSIONS, session.session_id) is None


async def test_login_is_over_when_it_is_not_used_and_in_any_case(world: World) -> None:
    await world.account()
    unused = (await world.log_in()).refresh_token
    used = (await world.log_in()).refresh_token
    for _ in range(2):
        world.clock.now += 999
        used = (await world.refresh(used)).refresh_token
    assert await is_refused(world.refresh(unused))
    world.clock.now += 501
    used = (await world.refresh(used)).refresh_token
    world.clock.now += 2
    assert await is_refused(world.refresh(used))


async def test_lost_answer_is_given_again_for_ten_seconds_only(world: World) -> None:
    await world.account()
    first = (await world.log_in()).refresh_token
    second = await world.refresh(first)
    world.clock.now += 9
    assert (await world.refresh(first)).refresh_token == second.refresh_token
    world.clock.now += 2
    assert await world.sessions.find(second.session_id) is not None
    assert await is_refused(world.refresh(first))
    assert await world.sessions.find(second.session_id) is None
    assert await is_refused(world.refresh(second.refresh_token))


async def test_hash_of_another_cost_is_replaced_and_the_login_goes_on(world: World) -> None:
    await world.account()
    passwords = Passwords(cost=TODAY)
    today = world.with_passwords(passwords)
    before = await world.store.read(ACCOUNTS, "ada")
    earlier = await world.log_in()
    login = await world.log_in(today)
    after = await world.store.inner.read(ACCOUNTS, "ada")
    assert before is not None and after is not None  # noqa: PT018 (both are there)
    assert after.revision == before.revision + 1
    kept = world.store.open(ACCOUNTS, after).body
    assert b"$argon2id$v=19$m=128,t=1,p=1$" in kept
    assert b"$argon2" not in after.body
    assert await today.find(login.session_id) is not None
    assert await today.find(earlier.session_id) is None
    assert await today.find((await world.log_in(today)).session_id) is not None
    again = await world.store.read(ACCOUNTS, "ada")
    assert again is not None
    assert again.revision == after.revision
    passwords.close()


@pytest.mark.parametrize("client", ["key-administrator", "key-0000000000000000", "Key-x"])
async def test_nobody_is_told_whether_there_is_a_key(world: World, client: str) -> None:
    await world.key()
    for id in (client, KEY.id):
        asked = request("password", client_id=id, username="nobody", password="wrong")
        assert await is_refused(world.sessions.open(asked), "invalid_client")
        ended = world.sessions.end(SessionEnd(client_id=id, session_id="none"))
        assert await is_refused(ended, "invalid_client")


async def test_session_of_a_key_stands_on_the_text_that_was_traded(world: World) -> None:
    await world.key()
    session = await world.trade_key()
    assert session.refresh_token is None
    standing = await world.sessions.find(session.session_id)
    assert standing == session.standing
    assert await is_refused(world.sessions.open(request("client_credentials", client_id=KEY.id)), "invalid_client")
    wrong = request("client_credentials", client_id="another", client_digest=digest_of(KEY.text))
    assert await is_refused(world.sessions.open(wrong), "invalid_client")
    await world.store.write(Write(KEYS, KEY.id, lambda _: None))
    assert await world.sessions.find(session.session_id) is None
    assert await is_refused(world.trade_key(), "invalid_client")


async def test_end_of_a_key_is_told_and_kept(world: World) -> None:
    await world.key(expires_at="2027-01-15T08:01:40Z")  # a hundred seconds from now
    session = await world.trade_key()
    assert session.standing is not None
    assert session.standing.ends_at is not None
    assert session.standing.ends_at.timestamp() == world.clock.now + 100
    world.clock.now += 101
    assert await world.sessions.find(session.session_id) is None


async def test_only_who_the_session_belongs_to_ends_it(world: World) -> None:
    await world.account()
    session = await world.log_in()
    made_up = "sr-" + "A" * 88
    await world.sessions.end(SessionEnd(client_id="public", refresh_token=made_up))
    other = world.sessions.end(SessionEnd(client_id="thief", session_id=session.session_id))
    assert await is_refused(other)
    assert await world.sessions.find(session.session_id) is not None
    for _ in range(2):
        await world.sessions.end(SessionEnd(client_id="public", session_id=session.session_id))
        assert await world.sessions.find(session.session_id) is None


async def test_used_refresh_token_ends_its_session_when_it_is_revoked(world: World) -> None:
    await world.account()
    first = await world.log_in()
    second = await world.refresh(first.refresh_token)
    await world.sessions.end(SessionEnd(client_id="public", refresh_token=first.refresh_token))
    assert await is_refused(world.refresh(second.refresh_token))


async def test_sessions_are_in_no_log_and_take_no_revision_of_it(world: World) -> None:
    await world.account()
    head = (await world.store.log.bounds()).head
    session = await world.log_in()
    await world.refresh(session.refresh_token)
    assert (await world.store.log.bounds()).head == head
    async with world.store.snapshot() as snapshot:
        assert set(snapshot.revisions) == {"revision", "cache"}
        collections = [resource.collection async for resource, _ in snapshot.batches]
    assert collections == ["accounts"]


async def test_expired_sessions_are_reclaimed(world: World) -> None:
    await world.key()
    fields = {"client_id": KEY.id, "client_digest": digest_of(KEY.text), "lifetime": -60}
    session = await world.sessions.open(request("client_credentials", **fields))
    assert await world.sessions.find(session.session_id) is None
    assert await world.store.reclaim() == 1
    assert await world.store.reclaim() == 0


@pytest.mark.parametrize("password", [{"a": "b"}, {"$sealed": "v1"}])
async def test_only_texts_are_hashed(world: World, password: Any) -> None:
    hashed = HashedFields(world.passwords)
    account = Account(account_id="ada", password=password)
    with pytest.raises(ValidationFailed):
        await hashed.item(ACCOUNTS, account)
    with pytest.raises(ValidationFailed):
        await hashed.patch(ACCOUNTS, "ada", {"password": password})
