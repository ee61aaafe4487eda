"""Writing to a store without the collections above it."""

from typing import Any

from sarvanom.backends.storage.contract import Document, Store, Write, Written
from sarvanom.shared.models.crud_models import CacheEntry, Dataset, ResourceModel
from sarvanom.shared.resources import Resource

# The order of UTF-16 differs from that of code points in the last ones; `%` and `_` mean something to LIKE.
WORDS = ("", "a", "A", "a%", "a_b", "Zed", "\u00e9", "\ud7ff!", "\uffff", "\U0001f600", "\U0010ffff" * 2)


async def put(store: Store, resource: Resource[Any], item: ResourceModel) -> Written:
    """Store the item, whatever there was."""
    return await store.write(putting(resource, item))


async def remove(store: Store, resource: Resource[Any], id: str) -> Written:
    """Delete the item."""
    return await store.write(Write(resource, id, lambda _: None))


def putting(resource: Resource[Any], item: ResourceModel) -> Write:
    """Return the write that stores the item, whatever there was."""
    return Write(resource, resource.id_of(item), lambda _: item, item)


def dataset(id: str, **fields: Any) -> Dataset:
    return Dataset(dataset_id=id, name="D", **fields)


def entry(key: str, **fields: Any) -> CacheEntry:
    return CacheEntry(key=key, value=0, **fields)


class Refused(Exception):
    """What a decision raises to refuse."""


def refuse(_: Document | None) -> None:
    raise Refused
