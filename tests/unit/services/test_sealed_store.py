"""The store between services and what is kept: what is revealed and logged, and what is said of what does not open."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from sarvanom.backends.storage.bodies import PRESENT_TABLES, Rewrite
from sarvanom.backends.storage.contract import Origin, Write
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.passwords import Passwords
from sarvanom.security.principals import Principal
from sarvanom.services.crud.accounts import HashedFields
from sarvanom.services.crud.answers import StoreAnswers
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.idempotency import Origins
from sarvanom.services.crud.key_issuer import KeyIssuer
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.shared.errors import IdempotencyKeyReused, InternalError, ServiceUnavailable, ValidationFailed
from sarvanom.shared.models.crud_models import ModelConfiguration, UserProfile
from sarvanom.shared.resources import MODELS, SETTINGS, USERS
from sarvanom.web.calls import Answer, Operation, ResourceCall
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring, sealed

SECRETS = {"api_key": "sk-hush", "temperature": 1}
ADMIN = Principal("key:admin", frozenset({"secrets:read"}))


def model(parameters: dict[str, Any] = SECRETS, id: str = "m") -> ModelConfiguration:
    return ModelConfiguration(model_name=id, provider="p", parameters=parameters)


@pytest.fixture
async def inner(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "s.db")
    yield store
    await store.aclose()


@pytest.fixture
def store(inner: SQLiteStore) -> SealedStore:
    return sealed(inner)


def read_call(**fields: Any) -> ResourceCall:
    return ResourceCall(
        operation=Operation.READ, method="GET", target=b"/models/m", resource=MODELS, id="m", request_id="r-7", **fields
    )


async def read(store: SealedStore, **fields: Any) -> Answer:
    answer = await StoreAnswers(StoredCRUDService(store), KeyIssuer(b"s" * 32), HashedFields(Passwords()))(
        read_call(**fields)
    )
    assert isinstance(answer, Answer)
    return answer


async def test_what_is_revealed_is_logged_with_who_and_what_and_without_the_secret(store: SealedStore) -> None:
    await StoredCRUDService(store).models.create(model())
    with capture_logs() as lines:
        masked = await read(store)
        revealed = await read(store, revealed_to=ADMIN)
        past = await read(store, revealed_to=ADMIN, at_revision=1)
    assert orjson.loads(masked.body)["data"]["parameters"] == SECRETS | {"api_key": "********"}
    for answer in (revealed, past):
        assert orjson.loads(answer.body)["data"]["parameters"] == SECRETS
        assert answer.headers == masked.headers
    line = {"event": "secrets revealed", "log_level": "info", "to": "key:admin", "resource": "/models/m", "revision": 1}
    assert lines == [line, line]


async def test_nothing_is_logged_of_what_is_not_there(store: SealedStore) -> None:
    with capture_logs() as lines, pytest.raises(Exception, match="There is no model"):
        await read(store, revealed_to=ADMIN)
    assert lines == []


async def test_a_key_that_is_missing_is_named_and_masks_need_none(inner: SQLiteStore, store: SealedStore) -> None:
    await StoredCRUDService(store).models.create(model({"credentials": {"a": "sk-hush"}}))
    service = StoredCRUDService(sealed(inner, OTHER_KEY))
    assert (await service.models.get("m")).parameters == {"credentials": "********"}
    assert (await service.models.patch("m", {"priority": 2})).priority == 2
    assert (await service.models.replace(await service.models.get("m"))).priority == 2
    reason = f"A secret is sealed by master key {store.keyring.ids[0]}, which is not here"
    with pytest.raises(ServiceUnavailable, match=reason):
        await service.models.get("m", reveal=True)
    with pytest.raises(ServiceUnavailable, match=reason):
        await service.models.patch("m", {"parameters": {"credentials": {"b": 1}}})


async def test_a_damaged_secret_is_told_to_the_log_alone(inner: SQLiteStore, store: SealedStore) -> None:
    service = StoredCRUDService(store)
    await service.models.create(model())
    await service.models.create(model(id="n"))
    [one, other] = await inner.bodies.page(PRESENT_TABLES[0], "")
    assert one.body is not None
    assert other.body is not None
    moved = one.body.replace(b'"model_name":"m"', b'"model_name":"n"')
    assert await inner.bodies.rewrite(PRESENT_TABLES[0], [Rewrite("n", other.body, moved)]) == 1
    assert (await service.models.get("n")).parameters["api_key"] == "********"
    with capture_logs() as lines, pytest.raises(InternalError, match="A secret was damaged") as caught:
        await service.models.get("n", reveal=True)
    assert "sk-hush" not in f"{caught.value.detail} {lines}"
    assert [line["place"] for line in lines] == ["models/n/parameters/api_key"]


async def test_what_has_no_secrets_passes_as_it_is(inner: SQLiteStore, store: SealedStore) -> None:
    user = UserProfile(user_id="u", username="u", email="u@example.org", preferences={"api_key": {"$sealed": "x"}})
    write = Write(USERS, "u", lambda _: user, user)
    [written] = await store.write_all([write])
    assert await inner.read(USERS, "u") == await store.read(USERS, "u") == getattr(written, "document", None)
    plain = model({"temperature": 1})
    write = Write(MODELS, "m", lambda _: plain, plain)
    first = await store.write(write)
    assert write.text == plain.to_json()
    assert first.document == await inner.read(MODELS, "m")


async def test_each_of_many_has_an_outcome_of_its_own(store: SealedStore) -> None:
    items = [model({"api_key": "********"}, "a"), model(id="b"), model({"x": {"$sealed": "y"}}, "c")]
    outcomes = await store.write_all([Write(MODELS, item.model_name, lambda _, i=item: i, item) for item in items])  # type: ignore[misc]
    assert [type(outcome).__name__ for outcome in outcomes] == ["ValidationFailed", "Written", "ValidationFailed"]
    refused = await store.write_all([Write(MODELS, "c", lambda _: items[2], items[2])])
    assert isinstance(refused[0], ValidationFailed)
    assert await store.read(MODELS, "c") is None


async def test_what_passes_through_is_what_the_other_store_says(store: SealedStore) -> None:
    assert await store.reclaim() == 0
    assert await store.forget_keys("9999") == 0
    assert await store.log.wait(0, 0.0) == 0
    assert await store.log.compact(keep=1) == 0
    assert await store.log.change(1) is None
    assert await store.log.state(SETTINGS, "s", 0) is None
    assert await store.read(SETTINGS, "s") is None


def create_call(body: bytes, key: str | None = "k") -> ResourceCall:
    return ResourceCall(
        operation=Operation.CREATE,
        method="POST",
        target=b"/models",
        resource=MODELS,
        request_id="r-7",
        body=body,
        idempotency_key=key,
    )


def test_an_origin_has_a_digest_that_takes_a_key() -> None:
    call = create_call(b"body")
    one, other = (Origins(keyring(key)).of_call(call) for key in (MASTER_KEY, OTHER_KEY))
    assert one.key is not None
    assert other.key is not None
    assert one.key.fingerprint != other.key.fingerprint
    assert Origins(keyring(OTHER_KEY, MASTER_KEY)).of_call(call).key == other.key._replace(
        former=(one.key.fingerprint,)
    )
    assert Origins(keyring()).of_call(create_call(b"body", None)) == Origin("r-7")


async def test_a_repeated_request_is_known_while_its_key_is_there(inner: SQLiteStore) -> None:
    call = create_call(b"body")
    written = []
    for keys in ((MASTER_KEY,), (MASTER_KEY, OTHER_KEY), (OTHER_KEY, MASTER_KEY)):
        models = StoredCRUDService(sealed(inner, *keys)).collection(MODELS)
        written.append(await models.create_document(model(), Origins(keyring(*keys)).of_call(call)))
    first, *again = written
    assert again == [first._replace(is_replay=True)] * 2
    for keys, body in (((OTHER_KEY,), b"body"), ((OTHER_KEY, MASTER_KEY), b"other")):
        models = StoredCRUDService(sealed(inner, *keys)).collection(MODELS)
        with pytest.raises(IdempotencyKeyReused):
            await models.create_document(model(), Origins(keyring(*keys)).of_call(create_call(body)))


async def test_two_who_write_at_once_keep_their_secrets_apart(store: SealedStore) -> None:
    service = StoredCRUDService(store)
    await service.models.create(model({"a": {}}))

    async def patch(number: int) -> None:
        await service.models.patch("m", {"parameters": {"a": {str(number): {"token": f"sk-{number}"}}}})

    await asyncio.gather(*map(patch, range(20)))
    kept: Any = (await service.models.get("m", reveal=True)).parameters["a"]
    assert kept == {str(number): {"token": f"sk-{number}"} for number in range(20)}


async def exported(service: StoredCRUDService) -> bytes:
    return b"".join([chunk async for chunk in service.archive.export()])


async def in_lines(text: bytes) -> AsyncIterator[bytes]:
    for line in text.splitlines(keepends=True):
        yield line


async def test_an_export_is_restored_by_who_has_its_keys_and_nobody_else(
    inner: SQLiteStore, store: SealedStore, tmp_path: Path
) -> None:
    await StoredCRUDService(store).models.create(model({"temperature": 1}, "a"))
    await StoredCRUDService(store).models.create(model(id="b"))
    text = await exported(StoredCRUDService(store))
    target = SQLiteStore(tmp_path / "target.db")
    async with StoredCRUDService(sealed(target, OTHER_KEY)) as service:
        nothing = await target.log.bounds()
        with pytest.raises(ValidationFailed, match=r"^Line 3 of the export is not valid$") as caught:
            await service.archive.restore(in_lines(text))
        [error] = caught.value.errors
        assert error.field == "item.parameters.api_key"
        assert f"master key {store.keyring.ids[0]}" in error.message
        planted = text.replace(b'"temperature":1}', b'"x":{"$sealed":1,"y":2}}')
        with pytest.raises(ValidationFailed, match=r"^Line 2 of the export is not valid$") as caught:
            await service.archive.restore(in_lines(planted))
        assert [error.field for error in caught.value.errors] == ["item"]
        assert await target.log.bounds() == nothing
    async with StoredCRUDService(sealed(SQLiteStore(tmp_path / "again.db"), OTHER_KEY, MASTER_KEY)) as service:
        await service.archive.restore(in_lines(text))
        assert (await service.models.get("b", reveal=True)).parameters == SECRETS
        assert (await exported(service)).splitlines()[1:] == text.splitlines()[1:]
