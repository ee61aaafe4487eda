"""The stored JSON texts as such: walked through and rewritten in place, without a change of what they say.

Nothing of this takes a revision or is seen by who watches: it is for what changes the form in which secrets are kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, NamedTuple

from sarvanom.shared.resources import RESOURCES

PAGE_ROWS: Final = 256
PAGE_BYTES: Final = 8 * 2**20

type BodyKey = str | int


class BodyTable(NamedTuple):
    """A table with JSON texts of resources that have secrets: its name, and its key, by which it is walked through."""

    name: str
    key: str
    first: BodyKey
    collection: str
    id: str
    body: str

    @property
    def page(self) -> str:
        """Select `key`, `collection`, `id` and `body` of rows, all but the key null where no secrets can be."""
        return (
            f"SELECT {self.key} AS key, {self.collection} AS collection, {self.id} AS id, {self.body} AS body "  # noqa: S608
            f"FROM {self.name} WHERE {self.key} > {{after}} ORDER BY {self.key} LIMIT {PAGE_ROWS}"
        )


class StoredBody(NamedTuple):
    """A row: its key, and the text that stands there, if any. Idempotency keys do not say of which resource it is."""

    key: BodyKey
    collection: str | None
    id: str | None
    body: bytes | None


class Rewrite(NamedTuple):
    """What is to stand in the place of a text."""

    key: BodyKey
    before: bytes
    after: bytes


_SECRET: Final = [resource for resource in RESOURCES if resource.secret is not None]
_NAMES: Final = ", ".join(f"'{resource.collection}'" for resource in _SECRET)

BODY_TABLES: Final = (
    *(BodyTable(r.collection, r.id_field, "", f"'{r.collection}'", r.id_field, "body") for r in _SECRET),
    BodyTable("changes", "revision", 0, "collection", "id", f"CASE WHEN collection IN ({_NAMES}) THEN body END"),
    BodyTable("idempotency_keys", "number", 0, "NULL", "NULL", "body"),
)
"""Wherever the text of a resource with secrets may stand."""
PRESENT_TABLES: Final = BODY_TABLES[: len(_SECRET)]
"""Where the resources stand as they are now."""


class Bodies(ABC):
    """The texts of a store; both methods raise `ServiceUnavailable`."""

    @abstractmethod
    async def page(self, table: BodyTable, after: BodyKey) -> list[StoredBody]:
        """Return the next rows after a key, in the order of keys; none at the end."""

    @abstractmethod
    async def rewrite(self, table: BodyTable, rewrites: Sequence[Rewrite]) -> int:
        """Replace texts that are still as they were, in one transaction in turn with all writes; return how many."""
