"""How documents, rows, log entries and idempotency keys are put together: the same for every database."""

import time
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from pydantic_core import from_json

from sarvanom.backends.storage.contract import (
    MAX_DOCUMENT_BYTES,
    Document,
    IdempotencyKey,
    Origin,
    Removed,
    Write,
    Written,
)
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.statements import row_columns, row_values
from sarvanom.shared.changes import ChangeKind
from sarvanom.shared.errors import FieldError, IdempotencyKeyReused, PayloadTooLarge, ResourceConflict, RevertConflict
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import Resource, format_timestamp


class Moment(NamedTuple):
    """One instant: as it is stored, and in ms since 1970."""

    timestamp: str
    ms: int

    @classmethod
    def now(cls) -> Self:
        """Return the present."""
        now = datetime.now(UTC)
        return cls(format_timestamp(now), int(now.timestamp() * 1000))


def now_ms() -> int:
    """Return the time in ms since 1970."""
    return time.time_ns() // 1_000_000


class KeyRow(NamedTuple):
    """What is remembered of an idempotency key: whose it is, and what came of it.

    `body` is the outcome where the request and the times cannot be asked for it again: a patch's document, a deletion's
    count, and what was replaced in the very moment of its creation, which would look as if it had been new.
    """

    key: str
    fingerprint: bytes
    time: str
    revision: int
    created_at: str | None
    body: bytes | None

    def written(self, write: Write) -> Written:
        """Return the outcome of the first request; raises `IdempotencyKeyReused` if this is another one."""
        self._check(write.origin)
        if self.created_at is None:
            return Written(self.revision, None, is_replay=True)
        if self.body is not None:
            service = from_json(self.body)["service"]
            document = Document(write.id, self.revision, self.created_at, self.body, service)
            return Written(self.revision, document, is_replay=True)
        item = write.item
        assert item is not None  # noqa: S101 (the outcome was left out because the request holds it)
        document = compose(write.id, text_of(write, item), self.created_at, self.time, self.revision, item.service)
        return Written(self.revision, document, is_replay=True, is_new=self.created_at == self.time)

    def removed(self, origin: Origin) -> Removed:
        """Return the outcome of the first deletion; raises `IdempotencyKeyReused` if this is another request."""
        self._check(origin)
        return Removed(self.revision, int(self.body or b"0"), is_replay=True)

    def _check(self, origin: Origin) -> None:
        key = origin.key
        if key is None or self.fingerprint not in (key.fingerprint, *key.former):
            raise IdempotencyKeyReused("This Idempotency-Key was used for another request; use a new one")


def text_of(write: Write, item: ResourceModel) -> bytes:
    """Return the JSON text of what a write stores, without the server's fields."""
    return write.text if write.text is not None and item is write.item else item.to_json()


def compose(id: str, text: bytes, created_at: str, timestamp: str, revision: int, service: str) -> Document:
    """Put the server's fields behind the caller's, in the text as it will be served.

    Raises:
        PayloadTooLarge: that would have more than `MAX_DOCUMENT_BYTES`.
    """
    fields = f',"created_at":"{created_at}","updated_at":"{timestamp}","revision":{revision}}}'
    body = text[:-1] + fields.encode()
    if len(body) > MAX_DOCUMENT_BYTES:
        raise PayloadTooLarge(f"A resource may have at most {MAX_DOCUMENT_BYTES} bytes, also as the sum of patches")
    return Document(id, revision, created_at, body, service)


def row_of(resource: Resource[Any], document: Document, item: Any, moment: Moment) -> tuple[Any, ...]:
    """Return the values of the document's row, in the order of the table's columns."""
    scalars = row_values(resource).in_order(item)
    stamps = (document.created_at, moment.timestamp, document.revision)
    if resource.lifetime is None:
        return (*scalars, *stamps, document.body)
    lifetime = resource.lifetime(item)
    return (*scalars, *stamps, None if lifetime is None else moment.ms + lifetime * 1000, document.body)


def named_row_of(resource: Resource[Any], document: Document, item: Any, moment: Moment) -> dict[str, Any]:
    """Return the same by the names of the columns; `id` stands for the column of the id."""
    row = dict(zip(row_columns(resource), row_of(resource, document, item, moment), strict=True))
    row["id"] = document.id
    return row


def entry_of(write: Write, before: Document | None, after: Document | None, revision: int, moment: Moment) -> Change:
    """Return the log entry of a change."""
    kind = ChangeKind.CREATE if before is None else ChangeKind.UPDATE
    if after is None:
        kind = ChangeKind.DELETE
    owner = after or before
    assert owner is not None  # noqa: S101 (a change has a state before or after it)
    # In order, for a line of an import is felt to make one: names would double what that takes.
    return Change(
        revision,
        write.resource.collection,
        write.id,
        kind.value,
        owner.service,
        before.service if before is not None and before.service != owner.service else None,  # the service it left
        write.origin.actor,
        write.origin.request_id,
        moment.timestamp,
        None if before is None else before.revision,
        None if write.revert is None else write.revert.revision,
        None if after is None else after.body,
    )


def key_row_of(key: IdempotencyKey, write: Write, written: Written, moment: Moment) -> KeyRow:
    """Return what to remember of a key under which a write was carried out."""
    document, body, created_at = written.document, None, None
    if document is not None:
        created_at = document.created_at
        is_derivable = write.brings_item and written.is_new == (created_at == moment.timestamp)
        body = None if is_derivable else document.body
    return KeyRow(key.key, key.fingerprint, moment.timestamp, written.revision, created_at, body)


def check_last_change(write: Write, last: int | None) -> None:
    """Refuse a revert of what is not the id's last change."""
    if write.revert is not None and last != write.revert.revision:
        raise RevertConflict(
            f"Revision {write.revert.revision} cannot be undone: revision {last} changed the same {write.resource.name}"
        )


def unique_conflict(resource: Resource[Any], field: str) -> ResourceConflict:
    """Return the refusal of a value that another resource has."""
    message = f"Another {resource.name} has this {field}"
    return ResourceConflict(message, errors=[FieldError(field, message)])
