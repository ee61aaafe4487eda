"""Deletions by condition and of what has expired, which concern collections without a log."""

from typing import Any, Final

from sarvanom.backends.storage.contract import Origin, Removed
from sarvanom.backends.storage.documents import KeyRow, Moment, now_ms
from sarvanom.backends.storage.listing import delete_statement
from sarvanom.backends.storage.log_statements import key_statements
from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.sessions import Session
from sarvanom.backends.storage.postgres.statements import HAS_KEY, without_nul
from sarvanom.backends.storage.postgres.transactor import Done, Proof
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statements import counter_statements
from sarvanom.shared.queries import Condition
from sarvanom.shared.resources import Resource

RECLAIM_BATCH: Final = 1_000
_KEYS: Final = key_statements(DIALECT)
_COUNTERS: Final = counter_statements(DIALECT)


async def delete_where(
    session: Session, revision: int, resource: Resource[Any], conditions: tuple[Condition, ...], origin: Origin
) -> Done[Removed]:
    """Delete what matches, in a transaction that holds the collection's sequence, whose last revision this is."""
    key, moment = origin.key, Moment.now()
    if key is not None and (row := await session.fetch_one(_KEYS.read, {"key": key.key})) is not None:
        return Done(KeyRow(*row).removed(origin), has_changes=False, proof=None)
    sql, values = delete_statement(resource, conditions, DIALECT, moment.ms)
    deleted = await count_rows(session, sql, without_nul(values))
    if deleted:
        revision += 1
        await session.fetch(_COUNTERS.put, {"counter": resource.sequence, "amount": revision})
    proof = None
    if key is not None:
        row = KeyRow(key.key, key.fingerprint, moment.timestamp, revision, None, str(deleted).encode())
        await session.fetch(_KEYS.append, row._asdict())
        proof = Proof(HAS_KEY, row._asdict())
    return Done(Removed(revision, deleted), has_changes=bool(deleted) or key is not None, proof=proof)


async def reclaim(session: Session, resource: Resource[Any]) -> int:
    """Delete a batch of expired rows, past those that a writer has just taken; return how many they were."""
    table = resource.collection
    id_field = resource.id_field
    sql = SQL(
        f"WITH gone AS (SELECT {id_field} FROM {table} WHERE expires_at <= $1 ORDER BY expires_at "  # noqa: S608
        f"LIMIT {RECLAIM_BATCH} FOR UPDATE SKIP LOCKED) "
        f"DELETE FROM {table} WHERE {id_field} IN (SELECT {id_field} FROM gone)",
        ("now",),
    )
    await session.execute("BEGIN")
    reclaimed = await count_rows(session, sql, {"now": now_ms()})
    if reclaimed and resource.counts_reads:
        await session.fetch(_COUNTERS.add, {"counter": "expirations", "amount": reclaimed})
    await session.execute("COMMIT")
    return reclaimed


async def count_rows(session: Session, sql: SQL, values: dict[str, Any]) -> int:
    """Carry out a deletion or an update, and return how many rows it took."""
    text = f"WITH done AS ({sql.text} RETURNING 1) SELECT count(*) FROM done"  # noqa: S608 (our own statement)
    row = await session.fetch_one(SQL(text, sql.names), values)
    return int(row[0])
