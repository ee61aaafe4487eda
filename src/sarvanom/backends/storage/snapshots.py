"""The whole store at one revision: what is read from one, and what an empty one is filled with."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from sarvanom.backends.storage.contract import Restored
from sarvanom.backends.storage.documents import Moment, compose, named_row_of
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.sql import SQL, render
from sarvanom.backends.storage.statements import live, row_values
from sarvanom.backends.storage.tables import TABLES
from sarvanom.shared.changes import ChangeKind
from sarvanom.shared.errors import FieldError, StoreNotEmpty, ValidationFailed
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import RESOURCES, Resource, format_timestamp

BATCH_ROWS: Final = 256
BATCH_BYTES: Final = 2**20


class RestoredRow(NamedTuple):
    """What is to be stored of a restored resource: its row, its tags, and its entry in the log if it has one.

    The entry stands for its history, which is not restored: it says that the resource was created as it is.
    """

    values: dict[str, Any]
    tags: dict[str, Sequence[str]]
    entry: Change | None


@cache
def snapshot_statement(resource: Resource[Any], dialect: Dialect) -> SQL:
    """Select `body` of everything that is live at the moment `now` (ms since 1970), in the order of the ids."""
    table = TABLES[resource.collection].rows
    return render(sa.select(table.c.body).where(*live(table)).order_by(table.c[resource.id_field]), dialect)


def take_batch(rows: Iterable[Any]) -> list[bytes]:
    """Take bodies from rows that are read as they are taken, up to a bounded number of them and of bytes."""
    bodies: list[bytes] = []
    size = 0
    for row in rows:
        bodies.append(row[0])
        size += len(row[0])
        if len(bodies) == BATCH_ROWS or size >= BATCH_BYTES:
            break
    return bodies


def restored_row(restored: Restored, now: int) -> RestoredRow | None:
    """Return what to store; None for what has expired by now (ms since 1970).

    Raises:
        PayloadTooLarge: the resource has more than `MAX_DOCUMENT_BYTES`.
    """
    resource, item, _ = restored
    created_at, moment, revision = _stamps(item)
    document = compose(resource.id_of(item), item.to_json(), created_at, moment.timestamp, revision, item.service)
    values = named_row_of(resource, document, item, moment)
    expires_at = values.get("expires_at")
    if expires_at is not None and expires_at <= now:
        return None
    entry = None
    if resource.is_logged:
        entry = Change(
            revision=revision,
            collection=resource.collection,
            id=document.id,
            kind=ChangeKind.CREATE.value,
            service=item.service,
            left_service=None,
            actor=None,
            request_id="",
            time=moment.timestamp,
            previous=None,
            reverts=None,
            body=document.body,
        )
    return RestoredRow(values, dict(row_values(resource).tags(item)), entry)


def counters_after(revisions: Mapping[str, int]) -> dict[str, int]:
    """Return the counters of a store that was restored: history begins at the revision of the export."""
    return {**revisions, "floor": revisions["revision"]}


_ISSUED: Final = ", ".join(f"'{resource.collection}'" for resource in RESOURCES if resource.is_issued)
HAS_OTHERS: Final = f"SELECT EXISTS (SELECT 1 FROM changes WHERE collection NOT IN ({_ISSUED}))"  # noqa: S608 (our names)
"""Whether anything was ever written but what the server issues."""
FORGET_ISSUED: Final = (
    "DELETE FROM changes",
    *(f"DELETE FROM {resource.collection}" for resource in RESOURCES if resource.is_issued),  # noqa: S608 (our names)
)
"""How a store that was not used otherwise becomes one that was never written to."""


def check_empty(counters: Mapping[str, int], *, has_others: bool) -> None:
    """Refuse a store that has ever been written to, but for keys, without which nobody could restore into it.

    Raises:
        StoreNotEmpty: it has been.
    """
    sequences = {resource.sequence for resource in RESOURCES} - {"revision"}
    if has_others or counters["floor"] or any(counters[sequence] for sequence in sequences):
        raise StoreNotEmpty(
            f"The store is at revision {counters['revision']}; an export is restored into one that was never used"
        )


def twice(restored: Restored, field: str) -> ValidationFailed:
    """Return the refusal of a resource whose id, revision or unique field another one of the export has."""
    resource, _, line = restored
    message = f"Another {resource.name if field != 'revision' else 'resource'} of the export has the same"
    return ValidationFailed(f"Line {line} of the export is not valid", errors=[FieldError(f"item.{field}", message)])


def _stamps(item: ResourceModel) -> tuple[str, Moment, int]:
    created_at, updated_at, revision = item.created_at, item.updated_at, item.revision
    assert created_at is not None and updated_at is not None and revision is not None  # noqa: S101, PT018 (promised)
    return format_timestamp(created_at), _moment(updated_at), revision


def _moment(time: datetime) -> Moment:
    return Moment(format_timestamp(time), int(time.timestamp() * 1000))
