"""Writing to a store without the collections above it, and reading its log."""

import asyncio
from collections.abc import Iterable
from typing import Any

from sarvanom.backends.storage.contract import (
    NOBODY,
    Document,
    IdempotencyKey,
    Origin,
    Revert,
    Store,
    Write,
    Written,
)
from sarvanom.backends.storage.log import Change
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import CacheEntry, Dataset, ResourceModel, UserProfile
from sarvanom.shared.resources import Resource

type Outcome = Written | SarvanOMError


class Refused(SarvanOMError):
    """What a decision of these tests raises."""

    status, code = 409, "refused"


def dataset(id: str, **fields: Any) -> Dataset:
    return Dataset.model_validate({"dataset_id": id, "name": "D", **fields})


def entry(key: str, **fields: Any) -> CacheEntry:
    return CacheEntry.model_validate({"key": key, "value": 0, **fields})


def user(id: str, username: str | None = None) -> UserProfile:
    return UserProfile(user_id=id, username=username or id, email=f"{id}@example.org")


def putting(
    resource: Resource[Any], item: ResourceModel, origin: Origin = NOBODY, revert: Revert | None = None
) -> Write:
    """Store the item, whatever there was."""
    return Write(resource, resource.id_of(item), lambda _: item, item, origin, revert)


def patching(resource: Resource[Any], id: str, origin: Origin = NOBODY, **fields: Any) -> Write:
    """Change some fields of what is stored."""

    def decide(current: Document | None) -> ResourceModel:
        if current is None:
            raise Refused("nothing to change")
        item: ResourceModel = resource.model.model_validate_json(current.body)
        return item.model_copy(update=fields)

    return Write(resource, id, decide, origin=origin)


def removing(resource: Resource[Any], id: str, origin: Origin = NOBODY, revert: Revert | None = None) -> Write:
    """Delete what is stored."""

    def decide(current: Document | None) -> None:
        if current is None:
            raise Refused("nothing to delete")

    return Write(resource, id, decide, origin=origin, revert=revert)


def refusing(resource: Resource[Any], id: str, origin: Origin = NOBODY) -> Write:
    def decide(_: Document | None) -> None:
        raise Refused("never")

    return Write(resource, id, decide, origin=origin)


def keyed(key: str, fingerprint: bytes = b"request", **fields: Any) -> Origin:
    """Return the origin of a request with an idempotency key."""
    return Origin(key=IdempotencyKey(key, fingerprint), **fields)


async def put(store: Store, resource: Resource[Any], item: ResourceModel, **fields: Any) -> Written:
    return await store.write(putting(resource, item, Origin(**fields)))


async def remove(store: Store, resource: Resource[Any], id: str) -> Written:
    return await store.write(removing(resource, id))


async def together(store: Store, writes: Iterable[Write]) -> list[Outcome]:
    """Carry the writes out at once, each by itself, and return their outcomes."""
    return await asyncio.gather(*(attempt(store, write) for write in writes))


async def attempt(store: Store, write: Write) -> Outcome:
    try:
        return await store.write(write)
    except SarvanOMError as error:
        return error


async def all_changes(store: Store, query: ChangeQuery | None = None) -> list[Change]:
    """Return what one page holds, which must be everything."""
    page = await store.log.page(query or ChangeQuery(limit=100_000))
    assert page.until == page.bounds.head
    return page.changes


async def head(store: Store) -> int:
    return (await store.log.bounds()).head


def told(outcome: Outcome) -> int | type[SarvanOMError]:
    """Return an outcome's revision, or what kind of refusal it is."""
    return outcome.revision if isinstance(outcome, Written) else type(outcome)
