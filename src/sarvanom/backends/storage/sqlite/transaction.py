"""What can be done inside a write transaction, and how a stored document is put together."""

import time
from datetime import UTC, datetime
from typing import Any

import apsw

from sarvanom.backends.storage.contract import MAX_DOCUMENT_BYTES, Decide, Document, Removed, Written
from sarvanom.backends.storage.listing import delete_statement
from sarvanom.backends.storage.sqlite.database import DIALECT
from sarvanom.backends.storage.statements import (
    ResourceStatements,
    counter_statements,
    resource_statements,
    row_values,
)
from sarvanom.shared.errors import FieldError, PayloadTooLarge, ResourceConflict
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.queries import Condition
from sarvanom.shared.resources import Resource, format_timestamp

_COUNTERS = counter_statements(DIALECT)


class Transaction:
    """A write transaction that is under way; each write takes the next revision."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._revision: int = connection.execute(_COUNTERS.read, {"counter": "revision"}).get
        self._started_at = self._revision
        now = datetime.now(UTC)
        self._timestamp = format_timestamp(now)
        self._now = int(now.timestamp() * 1000)
        self._expirations = 0

    def write(self, resource: Resource[Any], id: str, decide: Decide) -> Written:
        """Change one resource as `Store.write` promises."""
        statements = resource_statements(resource, DIALECT)
        current = self._current(statements, id)
        item = decide(current)
        if item is None:
            self._connection.execute(statements.delete, {"id": id})
            self._revision += 1
            return Written(self._revision, None)
        document = self._compose(id, item, current)
        self._store(resource, statements, document, item, is_new=current is None)
        self._revision += 1
        return Written(self._revision, document)

    def delete_where(self, resource: Resource[Any], conditions: tuple[Condition, ...]) -> Removed:
        """Delete the live rows that match; one revision for all of them."""
        text, values = delete_statement(resource, conditions, DIALECT, self._now)
        self._connection.execute(text, values)
        deleted = self._connection.changes()
        self._revision += 1 if deleted else 0
        return Removed(self._revision, deleted)

    def reclaim(self, collection: str, limit: int) -> int:
        """Delete at most `limit` expired rows; no revision, for nobody could see them any more."""
        self._connection.execute(
            f"DELETE FROM {collection} WHERE rowid IN "  # noqa: S608 (the name comes from a declaration)
            f"(SELECT rowid FROM {collection} WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)",
            {"now": self._now, "limit": limit},
        )
        reclaimed = self._connection.changes()
        self._expirations += reclaimed
        return reclaimed

    def count(self, name: str, amount: int) -> None:
        """Add to one of the store's counters."""
        self._connection.execute(_COUNTERS.add, {"counter": name, "amount": amount})

    def finish(self) -> None:
        """Write what the transaction's parts have in common; to be called before the commit."""
        if self._revision != self._started_at:
            self._connection.execute(_COUNTERS.put, {"counter": "revision", "amount": self._revision})
        if self._expirations:
            self.count("expirations", self._expirations)

    def _current(self, statements: ResourceStatements, id: str) -> Document | None:
        row = self._connection.execute(statements.current, {"id": id}).fetchone()
        if row is None:
            return None
        revision, created_at, body, expires_at = row
        if expires_at is not None and expires_at <= self._now:
            self._connection.execute(statements.delete, {"id": id})
            self._expirations += 1
            return None
        return Document(id, revision, created_at, body)

    def _compose(self, id: str, item: ResourceModel, current: Document | None) -> Document:
        """Put the server's fields behind the caller's, in the text as it will be served."""
        created_at = self._timestamp if current is None else current.created_at
        revision = self._revision + 1
        fields = f',"created_at":"{created_at}","updated_at":"{self._timestamp}","revision":{revision}}}'
        body = item.to_json()[:-1] + fields.encode()
        if len(body) > MAX_DOCUMENT_BYTES:
            raise PayloadTooLarge(f"A resource may have at most {MAX_DOCUMENT_BYTES} bytes, also as the sum of patches")
        return Document(id, revision, created_at, body)

    def _store(
        self,
        resource: Resource[Any],
        statements: ResourceStatements,
        document: Document,
        item: Any,
        *,
        is_new: bool,
    ) -> None:
        values = row_values(resource)
        row = values.scalars(item)
        row |= {
            "id": document.id,
            "revision": document.revision,
            "created_at": document.created_at,
            "updated_at": self._timestamp,
            "body": document.body,
        }
        if resource.lifetime is not None:
            lifetime = resource.lifetime(item)
            row["expires_at"] = None if lifetime is None else self._now + lifetime * 1000
        try:
            self._connection.execute(statements.insert if is_new else statements.update, row)
        except apsw.ConstraintError as error:
            raise _conflict(resource, error) from None
        for column, tags in values.tags(item).items():
            if not is_new:
                self._connection.execute(statements.delete_tags[column], {"id": document.id})
            for tag in tags:
                self._connection.execute(statements.insert_tag[column], {"id": document.id, "value": tag})


def now_ms() -> int:
    """Return the time in ms since 1970."""
    return time.time_ns() // 1_000_000


def _conflict(resource: Resource[Any], error: apsw.ConstraintError) -> ResourceConflict:
    """Name the field whose uniqueness SQLite defends ("UNIQUE constraint failed: users.email")."""
    field = str(error).rpartition(".")[2]
    message = f"Another {resource.name} has this {field}"
    return ResourceConflict(message, errors=[FieldError(field, message)])
