"""What can be done inside a write transaction of the SQLite file."""

from collections.abc import Sequence
from typing import Any

import apsw

from sarvanom.backends.storage.contract import Document, Origin, Removed, Write, Written
from sarvanom.backends.storage.documents import (
    KeyRow,
    Moment,
    check_last_change,
    compose,
    entry_of,
    key_row_of,
    named_row_of,
    row_of,
    text_of,
    unique_conflict,
)
from sarvanom.backends.storage.listing import delete_statement
from sarvanom.backends.storage.log_statements import key_statements, log_statements
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.sqlite.database import DIALECT
from sarvanom.backends.storage.sqlite.pending import UNFORESEEN, Foreseen, Pending, may_wait
from sarvanom.backends.storage.statements import (
    ResourceStatements,
    counter_statements,
    resource_statements,
    row_values,
)
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.queries import Condition
from sarvanom.shared.resources import Resource

_COUNTERS = counter_statements(DIALECT)
_LOG = log_statements(DIALECT)
_KEYS = key_statements(DIALECT)


class Transaction:
    """A write transaction that is under way; each write takes the next revision of its resource's sequence."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._revisions: dict[str, int] = {}
        self._advanced: set[str] = set()
        self._moment = Moment.now()
        self._expirations = 0
        self._foreseen = Foreseen()
        self._pending = Pending(self._moment)

    def write_all(self, writes: Sequence[Write]) -> list[Written | SarvanOMError]:
        """Carry out several writes as `Store.write_all` promises."""
        self._pending.flush(self._connection)
        self._foreseen.read(self._connection, writes)
        try:
            return [self._attempt(write) for write in writes]
        finally:
            self._foreseen.forget()

    def write(self, write: Write) -> Written:
        """Change one resource as `Store.write` promises."""
        key = write.origin.key
        if key is not None and (known := self._known(key.key)) is not None:
            return known.written(write)
        statements = resource_statements(write.resource, DIALECT)
        before = self._current(write.resource, statements, write.id)
        item = write.decide(before)
        if write.revert is not None:  # which tells of a later revision, if it was decided that it may be seen
            check_last_change(write, self._last_change(write))
        written = self._change(write, statements, before, item)
        if key is not None:
            self._pending.add_key(key_row_of(key, write, written, self._moment))
        return written

    def delete_where(self, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin) -> Removed:
        """Delete the live rows that match; one revision for all of them."""
        key = origin.key
        if key is not None and (known := self._known(key.key)) is not None:
            return known.removed(origin)
        self._pending.flush(self._connection)
        self._run(*delete_statement(resource, conditions, DIALECT, self._moment.ms))
        deleted = self._connection.changes()
        revision = self._revision(resource.sequence)
        if deleted:
            revision += 1
            self._advance(resource.sequence, revision)
        if key is not None:
            count = str(deleted).encode()
            self._pending.add_key(KeyRow(key.key, key.fingerprint, self._moment.timestamp, revision, None, count))
        return Removed(revision, deleted)

    def reclaim(self, resource: Resource[Any], limit: int) -> int:
        """Delete at most `limit` expired rows; no revision, for nobody could see them any more."""
        collection = resource.collection
        self._connection.execute(
            f"DELETE FROM {collection} WHERE rowid IN "  # noqa: S608 (the name comes from a declaration)
            f"(SELECT rowid FROM {collection} WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)",
            {"now": self._moment.ms, "limit": limit},
        )
        reclaimed = self._connection.changes()
        self._expirations += reclaimed if resource.counts_reads else 0
        return reclaimed

    def forget_keys(self, before: str, limit: int) -> int:
        """Delete at most `limit` idempotency keys first used before a time."""
        number = self._run(_KEYS.is_due, {"before": before, "limit": limit}).get
        if number is None:
            return 0
        self._run(_KEYS.forget, {"number": number})
        return self._connection.changes()

    def compact(self, floor: int, until: int) -> None:
        """Let go of the revisions after the floor, up to `until`, which becomes the floor."""
        self._run(_LOG.drop_superseded, {"floor": floor, "until": until})
        self._run(_LOG.drop_deletions, {"floor": floor, "until": until})
        self._run(_COUNTERS.put, {"counter": "floor", "amount": until})

    def rewrite(self, text: str, rows: Sequence[dict[str, Any]]) -> int:
        """Run a statement that updates at most one row, once for each; return how many it did."""
        self._pending.flush(self._connection)
        rewritten = 0
        for row in rows:
            self._connection.execute(text, row)
            rewritten += self._connection.changes()
        return rewritten

    def counter(self, name: str) -> int:
        """Return one of the store's counters."""
        value: int = self._run(_COUNTERS.read, {"counter": name}).get
        return value

    def count(self, name: str, amount: int) -> None:
        """Add to one of the store's counters."""
        self._run(_COUNTERS.add, {"counter": name, "amount": amount})

    def finish(self) -> None:
        """Store what waits, and what the transaction's parts have in common; to be called before the commit."""
        self._pending.flush(self._connection)
        for sequence in self._advanced:
            self._run(_COUNTERS.put, {"counter": sequence, "amount": self._revisions[sequence]})
        if self._expirations:
            self.count("expirations", self._expirations)

    def _change(self, write: Write, statements: ResourceStatements, before: Document | None, item: Any) -> Written:
        """Store what was decided, and log it, under the next revision."""
        resource = write.resource
        after: Document | None = None
        revision = self._revision(resource.sequence) + 1
        waits = before is None and item is not None and may_wait(write)
        if item is not None:
            created_at = self._created_at(write, before)
            text = text_of(write, item)
            after = compose(write.id, text, created_at, self._moment.timestamp, revision, item.service)
            if waits:
                self._pending.add_new(write, after, row_of(resource, after, item, self._moment))
            else:
                self._store(resource, statements, after, item, is_new=before is None)
        elif before is not None:
            self._flush_if_pending(resource, write.id)
            self._run(statements.delete, {"id": write.id})
        self._advance(resource.sequence, revision)
        if resource.is_logged and not waits:
            self._pending.add_entry(entry_of(write, before, after, revision, self._moment))
        return Written(revision, after, is_new=before is None and after is not None and write.revert is None)

    def _created_at(self, write: Write, before: Document | None) -> str:
        if before is not None:
            return before.created_at
        restored = None if write.revert is None else write.revert.created_at
        return restored or self._moment.timestamp

    def _revision(self, sequence: str) -> int:
        if sequence not in self._revisions:
            self._revisions[sequence] = self.counter(sequence)
        return self._revisions[sequence]

    def _advance(self, sequence: str, revision: int) -> None:
        """Note a revision that was given, once nothing can refuse what it was given to."""
        self._revisions[sequence] = revision
        self._advanced.add(sequence)

    def _attempt(self, write: Write) -> Written | SarvanOMError:
        try:
            return self.write(write)
        except SarvanOMError as error:
            return error

    def _flush_if_pending(self, resource: Resource[Any], id: str) -> None:
        if (resource.collection, id) in self._pending.stored:
            self._pending.flush(self._connection)

    def _known(self, key: str) -> KeyRow | None:
        if key in self._pending.keys:
            return self._pending.keys[key]
        foreseen = self._foreseen.take_key(key)
        if foreseen is not UNFORESEEN:
            return foreseen
        row = self._run(_KEYS.read, {"key": key}).fetchone()
        return None if row is None else KeyRow(*row)

    def _last_change(self, write: Write) -> int | None:
        self._pending.flush(self._connection)
        last: int | None = self._run(_LOG.last, {"collection": write.resource.collection, "id": write.id}).get
        return last

    def _current(self, resource: Resource[Any], statements: ResourceStatements, id: str) -> Document | None:
        place = (resource.collection, id)
        if place in self._pending.stored:
            return self._pending.stored[place]
        row = self._foreseen.take_row(resource.collection, id)
        if row is UNFORESEEN:
            row = self._run(statements.current, {"id": id}).fetchone()
        if row is None:
            return None
        revision, created_at, body, service, expires_at = row
        if expires_at is not None and expires_at <= self._moment.ms:
            self._run(statements.delete, {"id": id})
            self._expirations += resource.counts_reads
            return None
        return Document(id, revision, created_at, body, service)

    def _store(
        self, resource: Resource[Any], statements: ResourceStatements, document: Document, item: Any, *, is_new: bool
    ) -> None:
        self._flush_if_pending(resource, document.id)
        row = named_row_of(resource, document, item, self._moment)
        try:
            self._run(statements.insert if is_new else statements.update, row)
        except apsw.ConstraintError as error:
            # SQLite names the column: "UNIQUE constraint failed: users.email".
            raise unique_conflict(resource, str(error).rpartition(".")[2]) from None
        for column, tags in row_values(resource).tags(item).items():
            if not is_new:
                self._run(statements.delete_tags[column], {"id": document.id})
            for tag in tags:
                self._run(statements.insert_tag[column], {"id": document.id, "value": tag})

    def _run(self, sql: SQL, values: dict[str, Any] | tuple[Any, ...]) -> apsw.Cursor:
        """Execute a statement with values by name, or in the order of its parameters."""
        return self._connection.execute(sql.text, values)
