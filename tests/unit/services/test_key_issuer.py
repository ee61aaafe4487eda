"""Texts of keys: the same again for a repeated request, and never again once they have ended."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sarvanom.backends.storage.contract import IdempotencyKey, Origin
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.api_keys import digest_of, is_well_formed
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.key_issuer import Issued, KeyIssuer
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound
from sarvanom.shared.models.key_models import ApiKey, Rotation
from sarvanom.shared.resources import KEYS
from sarvanom.shared.validation import parse_model
from tests.harness.secrets import sealed

PRINCIPAL = Principal("user:ada", SCOPES)
END_OF_TIME = "9999-12-31T00:00:00.000000Z"


class Issuing:
    """An issuer over a store, whose requests all have the same Idempotency-Key."""

    def __init__(self, service: StoredCRUDService, secret: bytes = b"s" * 32) -> None:
        self.service = service
        self.issuer = KeyIssuer(secret)

    async def create(self) -> Issued:
        item = parse_model(KEYS.write_model, b'{"name": "n"}')
        origin = Origin("r", PRINCIPAL.subject, IdempotencyKey("create", b"f"))
        return await self.issuer.create(self.service.keys, item, PRINCIPAL, "k", origin)

    async def rotate(self, id: str, **rotation: Any) -> Issued:
        origin = Origin("r", PRINCIPAL.subject, IdempotencyKey("rotate", b"f"))
        return await self.issuer.rotate(self.service.keys, id, Rotation(**rotation), PRINCIPAL, "k", origin)

    async def delete(self, id: str) -> None:
        await self.service.keys.delete(id)

    async def forget(self) -> None:
        assert await self.service.store.forget_keys(END_OF_TIME) > 0

    async def compact(self) -> None:
        while await self.service.store.log.compact(keep=0):
            pass


@pytest.fixture
async def issuing(tmp_path: Path) -> AsyncIterator[Issuing]:
    async with StoredCRUDService(sealed(SQLiteStore(tmp_path / "s.db"))) as service:
        yield Issuing(service)


def key_of(issued: Issued) -> ApiKey:
    document = issued.written.document
    assert document is not None
    key = ApiKey.model_validate_json(document.body)
    assert is_well_formed(issued.text)
    assert (key.key_id, key.digest) == (document.id, digest_of(issued.text))
    return key


async def test_request_that_is_repeated_gets_the_same_key(issuing: Issuing) -> None:
    first, again = [await issuing.create() for _ in range(2)]
    assert (first.text, key_of(first)) == (again.text, key_of(again))
    assert (first.written.is_replay, again.written.is_replay) == (False, True)
    id = key_of(first).key_id
    for overlap in (60, 0):
        rotated = await issuing.rotate(id, overlap_seconds=overlap)
        repeated = await issuing.rotate(id, overlap_seconds=overlap)
        assert (repeated.text, key_of(repeated), repeated.written.is_replay) == (rotated.text, key_of(rotated), True)
        await issuing.forget()


@pytest.mark.parametrize("is_compacted", [False, True])
async def test_key_that_was_revoked_is_not_made_again(issuing: Issuing, is_compacted: bool) -> None:
    first = await issuing.create()
    await issuing.delete(key_of(first).key_id)
    assert (await issuing.create()).text == first.text  # a replay, which makes nothing
    with pytest.raises(ResourceNotFound):
        await issuing.service.keys.get(key_of(first).key_id)
    await issuing.forget()
    if is_compacted:
        await issuing.compact()
    later = await issuing.create()
    assert not later.written.is_replay
    assert key_of(later).key_id != key_of(first).key_id
    assert later.text != first.text


@pytest.mark.parametrize("overlap", [0, 60])
async def test_text_that_was_rotated_away_is_not_given_again(issuing: Issuing, overlap: int) -> None:
    id = key_of(await issuing.create()).key_id
    texts = set()
    for _ in range(3):
        rotated = await issuing.rotate(id, overlap_seconds=overlap)
        assert not rotated.written.is_replay
        texts.add(rotated.text)
        await issuing.forget()
    assert len(texts) == 3


async def test_text_that_does_not_follow_any_more_is_not_told_wrongly(issuing: Issuing) -> None:
    created = await issuing.create()
    id = key_of(created).key_id
    other = Issuing(issuing.service, b"t" * 32)
    with pytest.raises(ResourceConflict):
        await other.create()
    rotated = await issuing.rotate(id)
    with pytest.raises(ResourceConflict):
        await other.rotate(id)
    await issuing.compact()
    with pytest.raises(ResourceConflict):
        await issuing.rotate(id)
    assert (await issuing.service.keys.get(id)).digest == digest_of(rotated.text)
