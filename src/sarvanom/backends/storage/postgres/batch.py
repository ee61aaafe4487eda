"""The writes of one transaction, decided one after the other over what the rows held at its start.

Nothing here talks to the database: whoever holds the sequence's lock reads what the writes need, has them decided, and
stores what has come of them at once.
"""

from collections.abc import Sequence
from typing import Any, Final

from sarvanom.backends.storage.contract import Document, Write, Written
from sarvanom.backends.storage.documents import (
    KeyRow,
    Moment,
    check_last_change,
    compose,
    entry_of,
    key_row_of,
    named_row_of,
    text_of,
    unique_conflict,
)
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.statements import row_values
from sarvanom.shared.resources import Resource

_FULL_BYTES: Final = 32 * 2**20


class Unread(Exception):
    """A write wants a unique value whose holder was not read: an earlier write changed what it wants."""


class _Place:
    """One id of one collection: what is there now, and what it holds of unique values."""

    __slots__ = ("has_expired", "is_in_table", "stored", "unique")

    def __init__(self) -> None:
        self.stored: Document | None = None
        self.unique: dict[str, Any] = {}
        self.is_in_table = False
        self.has_expired = False


class Effects:
    """What is to be stored of one collection: rows to put, ids to delete, tags to set."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.tags: dict[str, dict[str, Sequence[str]]] = {}


class Batch:
    """Writes to resources of one sequence, all at one `moment`; `revision` is the last one that was given."""

    def __init__(self, revision: int, moment: Moment) -> None:
        self.revision = revision
        self.moment = moment
        self.entries: list[Change] = []
        self.keys: dict[str, KeyRow] = {}
        self.new_keys: list[KeyRow] = []
        self.effects: dict[Resource[Any], Effects] = {}
        self.expirations = 0
        self.size = 0
        self._first = revision
        self._places: dict[tuple[str, str], _Place] = {}
        self._holders: dict[tuple[str, str, Any], str | None] = {}
        self._last_changes: dict[tuple[str, str], int | None] = {}

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to store."""
        return self.revision != self._first or bool(self.new_keys)

    @property
    def is_full(self) -> bool:
        """Whether there is as much to store as one transaction should."""
        return self.size >= _FULL_BYTES

    def expect_values(self, resource: Resource[Any], column: str, values: Sequence[Any]) -> None:
        """Note unique values whose holders have been asked for; those that are found follow by `learn`."""
        for value in values:
            self._holders.setdefault((resource.collection, column, value), None)

    def learn(self, resource: Resource[Any], row: Sequence[Any]) -> None:
        """Take in a row as `GroupStatements.read` selects it."""
        id, revision, created_at, body, service, expires_at, *unique = row
        place = self._place(resource, id)
        if place.is_in_table:
            return
        place.is_in_table = True
        if expires_at is not None and expires_at <= self.moment.ms:
            place.has_expired = True
            return
        place.stored = Document(id, revision, created_at, body, service)
        place.unique = dict(zip(resource.unique, unique, strict=True))
        for column, value in place.unique.items():
            self._holders[resource.collection, column, value] = id

    def learn_last_change(self, write: Write, revision: int | None) -> None:
        """Take in the last change of a write's id."""
        self._last_changes[write.resource.collection, write.id] = revision

    def current(self, write: Write) -> Document | None:
        """Return what is stored under the write's id."""
        return self._place(write.resource, write.id).stored

    def decide(self, write: Write) -> Written:
        """Carry out one write here; raises what `Store.write` raises, or `Unread`, and has then changed nothing."""
        key = write.origin.key
        if key is not None and (known := self.keys.get(key.key)) is not None:
            return known.written(write)
        at = (write.resource.collection, write.id)
        place = self._place(write.resource, write.id)
        item = write.decide(place.stored)
        if write.revert is not None:  # which tells of a later revision, if it was decided that it may be seen
            check_last_change(write, self._last_changes.get(at))
        written = self._delete(write, place) if item is None else self._put(write, place, item)
        self._last_changes[at] = written.revision
        if key is not None:
            row = key_row_of(key, write, written, self.moment)
            self.keys[key.key] = row
            self.new_keys.append(row)
        return written

    def _put(self, write: Write, place: _Place, item: Any) -> Written:
        resource, before = write.resource, place.stored
        text, created_at = text_of(write, item), self._created_at(write, before)
        document = compose(write.id, text, created_at, self.moment.timestamp, self.revision + 1, item.service)
        row = named_row_of(resource, document, item, self.moment)
        unique = {name: row[name] for name in resource.unique}
        self._check_unique(resource, write.id, unique)
        tags = row_values(resource).tags(item)
        self.revision += 1
        self._take_unique(resource, write.id, place, unique)
        place.stored = document
        self.expirations += place.has_expired and resource.counts_reads
        place.has_expired = False
        self.size += len(document.body)
        effects = self._effects(resource)
        effects.rows[write.id] = row
        effects.deleted.discard(write.id)
        effects.tags[write.id] = tags
        self._log(write, before, place.stored)
        return Written(self.revision, document, is_new=before is None and write.revert is None)

    def _delete(self, write: Write, place: _Place) -> Written:
        before = place.stored
        self.revision += 1
        self._take_unique(write.resource, write.id, place, {})
        place.stored = None
        effects = self._effects(write.resource)
        effects.rows.pop(write.id, None)
        effects.tags.pop(write.id, None)
        if place.is_in_table:
            effects.deleted.add(write.id)
        self._log(write, before, None)
        return Written(self.revision, None)

    def _log(self, write: Write, before: Document | None, after: Document | None) -> None:
        if write.resource.is_logged:
            self.entries.append(entry_of(write, before, after, self.revision, self.moment))

    def _created_at(self, write: Write, before: Document | None) -> str:
        if before is not None:
            return before.created_at
        restored = None if write.revert is None else write.revert.created_at
        return restored or self.moment.timestamp

    def _check_unique(self, resource: Resource[Any], id: str, unique: dict[str, Any]) -> None:
        for column, value in unique.items():
            if value is None:
                continue  # of what is missing there can be many
            holder = self._holders.get((resource.collection, column, value), _UNREAD)
            if holder is _UNREAD:
                raise Unread
            if holder not in (None, id):
                raise unique_conflict(resource, column)

    def _take_unique(self, resource: Resource[Any], id: str, place: _Place, unique: dict[str, Any]) -> None:
        for column, value in place.unique.items():
            self._holders[resource.collection, column, value] = None
        for column, value in unique.items():
            self._holders[resource.collection, column, value] = id
        place.unique = unique

    def _place(self, resource: Resource[Any], id: str) -> _Place:
        return self._places.setdefault((resource.collection, id), _Place())

    def _effects(self, resource: Resource[Any]) -> Effects:
        return self.effects.setdefault(resource, Effects())


_UNREAD = object()
