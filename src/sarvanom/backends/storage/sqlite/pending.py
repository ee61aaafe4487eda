"""What a write transaction knows before it asks, and stores only at its end: a few statements for many writes.

SQLite works on a statement without the interpreter's lock, so that one long statement leaves the event loop alone where
many short ones would contend with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import cache
from itertools import chain
from typing import Any, Final

import apsw
from pydantic_core import to_json

from sarvanom.backends.storage.contract import Document, Write
from sarvanom.backends.storage.documents import KeyRow, Moment, entry_of
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.log_statements import CHANGE_FIELDS, KEY_FIELDS
from sarvanom.backends.storage.statements import row_columns
from sarvanom.backends.storage.tables import TABLES
from sarvanom.shared.changes import ChangeKind
from sarvanom.shared.resources import Resource

_STATEMENT_ROWS: Final = (512, 128, 32, 8, 1)
"""How many rows a statement inserts: few sizes, so that each is compiled once."""

type _Place = tuple[str, str]
type _New = tuple[Sequence[Any], Write, Document]
"""A row, in the order of its table's columns, what it was asked for with, and what is served of it."""


class Unforeseen(Enum):
    """What has to be asked of the database."""

    UNFORESEEN = auto()


UNFORESEEN: Final = Unforeseen.UNFORESEEN


class Foreseen:
    """What is stored under the ids and keys of writes to come: asked for at once, told once."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, dict[str, tuple[Any, ...] | None]] = defaultdict(dict)
        self._keys: dict[str, KeyRow | None] = {}

    def read(self, connection: apsw.Connection, writes: Sequence[Write]) -> None:
        """Ask for what these writes are decided by."""
        for resource in dict.fromkeys(write.resource for write in writes):
            ids = [write.id for write in writes if write.resource is resource]
            rows = self._rows[resource.collection]
            rows |= dict.fromkeys(ids)
            for id, *row in connection.execute(_current_statement(resource), (to_json(ids),)):
                rows[id] = tuple(row)
        keys = [write.origin.key.key for write in writes if write.origin.key is not None]
        if keys:
            self._keys |= dict.fromkeys(keys)
            for row in connection.execute(_KEYS, (to_json(keys),)):
                self._keys[row[0]] = KeyRow(*row)

    def forget(self) -> None:
        """Let go of what nobody asked for."""
        self._rows.clear()
        self._keys.clear()

    def take_row(self, collection: str, id: str) -> tuple[Any, ...] | Unforeseen | None:
        """Tell what there is, as it may be otherwise from then on; `UNFORESEEN` if it was not asked for."""
        return self._rows[collection].pop(id, UNFORESEEN)

    def take_key(self, key: str) -> KeyRow | Unforeseen | None:
        """Tell what is known of a key; `UNFORESEEN` if it was not asked for, or has been told."""
        return self._keys.pop(key, UNFORESEEN)


class Pending:
    """Rows that wait to be inserted; none of them can be refused."""

    def __init__(self, moment: Moment) -> None:
        """Take the moment at which all of it is written."""
        self._moment = moment
        self.stored: dict[_Place, Document] = {}
        self.keys: dict[str, KeyRow] = {}
        self._news: defaultdict[Resource[Any], list[_New]] = defaultdict(list)
        self._entries: list[Change] = []

    def add_new(self, write: Write, document: Document, row: Sequence[Any]) -> None:
        """Let a new resource wait, and with it, if it is logged, the entry of its creation."""
        resource = write.resource
        self.stored[resource.collection, document.id] = document
        self._news[resource].append((row, write, document))

    def add_entry(self, entry: Change) -> None:
        """Let an entry of the log wait."""
        self._entries.append(entry)

    def add_key(self, row: KeyRow) -> None:
        """Let an idempotency key wait."""
        self.keys[row.key] = row

    def flush(self, connection: apsw.Connection) -> None:
        """Insert everything."""
        for resource, news in self._news.items():
            self._insert_news(connection, resource, news)
        self._entries.sort()  # by the revision
        _insert(connection, "changes", CHANGE_FIELDS, self._entries)
        _insert(connection, "idempotency_keys", KEY_FIELDS, list(self.keys.values()))
        self._news.clear()
        self._entries.clear()
        self.stored.clear()
        self.keys.clear()

    def _insert_news(self, connection: apsw.Connection, resource: Resource[Any], news: list[_New]) -> None:
        # Neighbours in one index after the other; most of the other indexes grow at one end.
        news.sort(key=lambda new: new[0][0])
        _insert(connection, resource.collection, row_columns(resource), [row for row, _, _ in news])
        if not resource.is_logged:
            return
        callers = {(write.origin.request_id, write.origin.actor) for _, write, _ in news}
        if len(callers) == 1 < len(news):
            request_id, actor = callers.pop()
            # They have the last rowids, without a gap, for nothing was inserted between them or since.
            after = connection.last_insert_rowid() - len(news)
            connection.execute(_log_statement(resource), {"after": after, "request_id": request_id, "actor": actor})
            return
        for _, write, document in news:
            self._entries.append(entry_of(write, None, document, document.revision, self._moment))


def may_wait(write: Write) -> bool:
    """Tell whether what a write makes, if that is new, cannot be refused by the database, and is one row.

    It must also be logged as a plain creation, which what comes back by a revert is not.
    """
    return write.revert is None and _is_one_row(write.resource)


@cache
def _is_one_row(resource: Resource[Any]) -> bool:
    return not resource.unique and not TABLES[resource.collection].tags


def _insert(connection: apsw.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
    done = 0
    for size in _STATEMENT_ROWS:
        while len(rows) - done >= size:
            values: Iterable[Any] = chain.from_iterable(rows[done : done + size])
            connection.execute(_insert_statement(table, columns, size), tuple(values))
            done += size


@cache
def _insert_statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    """Return a statement that ends the transaction if a row is refused.

    It then need not note, page by page, how to undo what it did; for the log, whose key is the rowid, it still does.
    """
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT OR ROLLBACK INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 (our own names)


@cache
def _log_statement(resource: Resource[Any]) -> str:
    """Return a statement that logs the creation of the rows after a rowid, for one request, from what they hold.

    Its parameters are `after`, that rowid, `request_id` and `actor`. So an import binds no value twice. A new row has
    the next rowid, as `sqlite.org/autoinc.html` says.
    """
    values = {
        "revision": "revision",
        "collection": f"'{resource.collection}'",
        "id": resource.id_field,
        "kind": f"'{ChangeKind.CREATE}'",
        "service": "service",
        "actor": ":actor",
        "request_id": ":request_id",
        "time": "updated_at",
        "body": "body",
    }
    return (
        f"INSERT OR ROLLBACK INTO changes ({', '.join(values)}) "  # noqa: S608 (our own names)
        f"SELECT {', '.join(values.values())} FROM {resource.collection} WHERE rowid > :after ORDER BY revision"
    )


@cache
def _current_statement(resource: Resource[Any]) -> str:
    id_field = resource.id_field
    expires_at = "expires_at" if resource.lifetime is not None else "NULL"
    return (
        f"SELECT {id_field}, revision, created_at, body, service, {expires_at} "  # noqa: S608 (a declaration's names)
        f"FROM {resource.collection} WHERE {id_field} IN (SELECT value FROM json_each(?))"
    )


_KEYS: Final = f"SELECT {', '.join(KEY_FIELDS)} FROM idempotency_keys WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608
