"""One transaction of PostgreSQL that carries out a group of writes."""

from collections.abc import Sequence
from typing import Any, Final

from sarvanom.backends.storage.contract import Write, Written
from sarvanom.backends.storage.documents import KeyRow, Moment
from sarvanom.backends.storage.log_statements import CHANGE_FIELDS, KEY_FIELDS, log_statements
from sarvanom.backends.storage.postgres.batch import Batch, Effects, Unread
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import (
    CHANNEL,
    HAS_CHANGE,
    HAS_KEY,
    finish_statement,
    group_statements,
    has_row,
)
from sarvanom.backends.storage.postgres.transactor import Done, Proof
from sarvanom.backends.storage.statements import counter_statements, row_values
from sarvanom.shared.errors import InternalError, SarvanOMError
from sarvanom.shared.resources import Resource

type Outcome = Written | Exception

_LARGE: Final = 2**20
_SECONDS_PER_BYTE: Final = 0.5 / 2**20
_LEAST_SECONDS: Final = 5.0
_LOG: Final = log_statements(DIALECT)
_COUNTERS: Final = counter_statements(DIALECT)


async def carry_out(session: Session, writes: Sequence[Write], revision: int, sequence: str) -> Done[list[Outcome]]:
    """Decide the writes and store what came of them, in a transaction that holds the sequence, but for its commit.

    The outcomes may be fewer than the writes: those that are left need what was not read, or are too much for one
    transaction, and come next.
    """
    batch = Batch(revision, Moment.now())
    await _read(session, batch, writes)
    outcomes: list[Outcome] = []
    for write in writes:
        if batch.is_full:
            break
        try:
            outcomes.append(batch.decide(write))
        except Unread as error:
            if not outcomes:
                raise InternalError("A write does not decide twice alike") from error
            break
        except Exception as error:  # noqa: BLE001 (the caller hears of it)
            outcomes.append(error)
    if batch.size > _LARGE:
        await session.allow(batch.size * _SECONDS_PER_BYTE + _LEAST_SECONDS)
    if batch.has_changes:
        await _store(session, batch, sequence)
    return Done(outcomes, batch.has_changes, _proof(batch))


def _proof(batch: Batch) -> Proof | None:
    """Return how to find the last thing that the batch stores."""
    if batch.entries:
        entry = batch.entries[-1]
        return Proof(HAS_CHANGE, entry._asdict())
    if batch.new_keys:
        return Proof(HAS_KEY, batch.new_keys[-1]._asdict())
    for resource, effects in batch.effects.items():
        for row in effects.rows.values():
            return Proof(has_row(resource), row)
    return None


async def _read(session: Session, batch: Batch, writes: Sequence[Write]) -> None:
    """Read everything that the writes are decided by."""
    keys = [write.origin.key.key for write in writes if write.origin.key is not None]
    for resource in dict.fromkeys(write.resource for write in writes):
        theirs = [write for write in writes if write.resource is resource]
        await _read_rows(session, batch, resource, theirs, keys)
        keys = []  # they have been asked for with the rows of the first collection
    for write in writes:
        if write.revert is not None:
            values = {"collection": write.resource.collection, "id": write.id}
            row = await session.fetch_one(_LOG.last, values)
            batch.learn_last_change(write, row[0])


async def _read_rows(
    session: Session, batch: Batch, resource: Resource[Any], writes: Sequence[Write], keys: list[str]
) -> None:
    """Read the rows of the ids, those that hold a unique value that a write wants, and what is known of the keys."""
    wanted: list[dict[str, Any]] = [_unique(resource, write.item) for write in writes if write.item is not None]
    await _read_matches(session, batch, resource, [write.id for write in writes], wanted, keys)
    if resource.unique:
        wanted = [wish for write in writes if write.item is None and (wish := _foreseen(batch, write))]
        if wanted:
            await _read_matches(session, batch, resource, [], wanted, [])


async def _read_matches(
    session: Session,
    batch: Batch,
    resource: Resource[Any],
    ids: list[str],
    wanted: Sequence[dict[str, Any]],
    keys: list[str],
) -> None:
    values: dict[str, Any] = {"ids": ids, "keys": keys}
    for column in resource.unique:
        values[column] = [wish[column] for wish in wanted]
        batch.expect_values(resource, column, values[column])
    for fingerprint, time, *row in await session.fetch(group_statements(resource).read, values):
        if fingerprint is None:
            batch.learn(resource, row)
        else:
            key, revision, created_at, body, *_ = row
            batch.keys[key] = KeyRow(key, fingerprint, time, revision, created_at, body)


def _foreseen(batch: Batch, write: Write) -> dict[str, Any] | None:
    """Return the unique values that a patch or a revert will want, as far as can be told before its turn."""
    try:
        item = write.decide(batch.current(write))
    except SarvanOMError:
        return None
    return None if item is None else _unique(write.resource, item)


def _unique(resource: Resource[Any], item: Any) -> dict[str, Any]:
    if not resource.unique:
        return {}
    scalars = row_values(resource).scalars(item)
    return {name: scalars[name] for name in resource.unique}


async def _store(session: Session, batch: Batch, sequence: str) -> None:
    """Store what has come of a batch: the rows of one collection together with all that every change has."""
    last = _last_resource(batch)
    for resource, effects in batch.effects.items():
        await _store_rows(session, resource, effects, are_put=resource is not last)
    if batch.expirations:
        await session.fetch(_COUNTERS.add, {"counter": "expirations", "amount": batch.expirations})
    values: dict[str, Any] = {"counter": sequence, "amount": batch.revision, "channel": CHANNEL}
    values["moment"] = batch.moment.timestamp  # for every column of times
    values |= _columns(CHANGE_FIELDS, batch.entries)
    values |= _columns(KEY_FIELDS, batch.new_keys, prefix="key_")
    if last is not None:
        values |= _row_columns(last, batch.effects[last], prefix="row_")
    await session.fetch(finish_statement(last, is_logged=bool(batch.entries)), values)


def _last_resource(batch: Batch) -> Resource[Any] | None:
    """Return a collection whose rows may be put last, for nothing follows them."""
    return next(
        (
            resource
            for resource, effects in batch.effects.items()
            if effects.rows and not group_statements(resource).insert_tags
        ),
        None,
    )


async def _store_rows(session: Session, resource: Resource[Any], effects: Effects, *, are_put: bool) -> None:
    """Delete before anything is put, so that what is given up is free."""
    statements = group_statements(resource)
    if effects.deleted:
        await session.fetch(statements.delete, {"ids": list(effects.deleted)})
    if not effects.rows or not are_put:
        return
    await session.fetch(statements.upsert, _row_columns(resource, effects))
    for column, insert_tags in statements.insert_tags.items():
        await session.fetch(statements.delete_tags[column], {"ids": list(effects.rows)})
        pairs = [(tag, id) for id, tags in effects.tags.items() for tag in tags[column]]
        if pairs:
            await session.fetch(insert_tags, {"value": [tag for tag, _ in pairs], "owner": [id for _, id in pairs]})


def _row_columns(resource: Resource[Any], effects: Effects, prefix: str = "") -> dict[str, Any]:
    """Return the rows to put as columns."""
    names = group_statements(resource).upsert.names
    return _columns(names, [tuple(row[name] for name in names) for row in effects.rows.values()], prefix)


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]], prefix: str = "") -> dict[str, Any]:
    """Return rows as columns, and null for one in which nothing stands: the driver looks at every element."""
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        prefix + name: column if any(value is not None for value in column) else None
        for name, column in zip(names, columns, strict=True)
    }
