"""With many rows every statement of the store goes by an index, also where the server plans once for all values."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from sarvanom.backends.storage.listing import page_statement
from sarvanom.backends.storage.log_statements import changes_statement, key_statements, log_statements
from sarvanom.backends.storage.postgres.connections import DIALECT, Connector, Timeouts
from sarvanom.backends.storage.postgres.log import _CHANGE, _DROP_SUPERSEDED, _STATE, BOUNDS
from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.pages import cut_statement
from sarvanom.backends.storage.postgres.sessions import close
from sarvanom.backends.storage.postgres.statements import group_statements, read_statement
from sarvanom.backends.storage.postgres.store import _CACHE_COUNTERS
from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.statements import resource_statements
from sarvanom.shared.changes import ChangeShape
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import CACHE, MODELS, USERS
from tests.harness.postgres import PostgresDatabases

ROWS = 20_000
LARGE = ("users", "models", "cache", "cache_tags", "changes", "idempotency_keys")
TIME = "'2026-01-01T00:00:00.000000Z'"
FILL = f"""
INSERT INTO users SELECT 'u' || n, 'name' || n, n || '@x', 's' || n % 7, {TIME}, {TIME}, n, '{{}}'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO models (model_name, provider, enabled, priority, service, created_at, updated_at, revision, body)
  SELECT 'm' || n, 'p' || n % 9, n % 2, n % 10, 's' || n % 7, {TIME}, {TIME}, {ROWS} + n, '{{}}'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO cache (key, service, created_at, updated_at, revision, expires_at, body)
  SELECT 'c' || n, 's' || n % 7, {TIME}, {TIME}, n, 9000000000000, '{{}}' FROM generate_series(1, {ROWS}) n;
INSERT INTO cache_tags (value, owner) SELECT 't' || n % 500, 'c' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO changes (revision, collection, id, kind, service, request_id, time, previous, body)
  SELECT n, 'users', 'u' || n % 5000, 'update', 's' || n % 7, '', {TIME}, n - 1, '{{}}'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO idempotency_keys (key, fingerprint, time, revision)
  SELECT 'k' || n, 'f', {TIME}, n FROM generate_series(1, {ROWS}) n;
ANALYZE;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres: PostgresDatabases) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with many rows, which plans once for all values."""
    url = postgres.create_database()
    await migrate(url)
    connection = await asyncpg.connect(url, statement_cache_size=0)
    await connection.execute(FILL)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    yield connection
    await connection.close()
    postgres.drop_database(url)


def page(resource: Any, sort: str = "", cursor_of: tuple[Any, ...] | None = None, **filters: Any) -> SQL:
    pagination = PaginationParams(sort=sort) if sort else PaginationParams()
    query = build_query(resource, pagination, FilterParams().with_conditions(**filters) if filters else None)
    if cursor_of is not None:
        query = replace(query, after=cursor_of)
    return cut_statement(page_statement(resource, query, DIALECT, 0).sql)


STATEMENTS = {
    "get": resource_statements(USERS, DIALECT).read,
    "get from the cache": resource_statements(CACHE, DIALECT).read,
    "group of gets": read_statement(USERS),
    "group of gets from the cache": read_statement(CACHE),
    "first page": page(USERS),
    "last page": page(USERS, cursor_of=(TIME.strip("'"), "u9998")),
    "first page by time": page(USERS, "-updated_at"),
    "last page by time": page(MODELS, "created_at", (TIME.strip("'"), "m9998")),
    "last page by priority, downwards": page(MODELS, "-priority", (1, TIME.strip("'"), "m2")),
    "filtered by a unique field": page(USERS, email="7@x"),
    "filtered by an indexed field": page(MODELS, provider="p3"),
    "filtered by service": page(USERS, service="s3"),
    "last page of a service": page(USERS, cursor_of=(TIME.strip("'"), "u9998"), service="s3"),
    "last page by id": page(USERS, "user_id", ("u9998",)),
    "filtered by tags": page(CACHE, tags__contains=["t3"]),
    "changes": cut_statement(changes_statement(ChangeShape(False, False, None, None), 100, DIALECT)),
    "changes of a collection": cut_statement(changes_statement(ChangeShape(True, False, None, None), 100, DIALECT)),
    "changes of one resource": cut_statement(changes_statement(ChangeShape(True, True, None, None), 100, DIALECT)),
    "changes of some services": cut_statement(changes_statement(ChangeShape(False, False, 3, 4), 100, DIALECT)),
    "one change": _CHANGE,
    "state at a revision": _STATE,
    "last change": log_statements(DIALECT).last,
    "what may be compacted": log_statements(DIALECT).aged,
    "compaction": _DROP_SUPERSEDED,
    "compaction of deletions": log_statements(DIALECT).drop_deletions,
    "group of users": group_statements(USERS).read,
    "group of cache entries": group_statements(CACHE).read,
    "deletion of a group": group_statements(USERS).delete,
    "deletion of tags": group_statements(CACHE).delete_tags["tags"],
    "keys that may be forgotten": key_statements(DIALECT).is_due,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_reads_no_large_table_whole(filled: asyncpg.Connection, name: str) -> None:
    sql = STATEMENTS[name]
    await filled.execute(f"PREPARE planned AS {sql.text}")
    arguments = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", sql.text))))
    explain = "EXPLAIN EXECUTE planned" + (f"({arguments})" if arguments else "")
    plan = "\n".join(row[0] for row in await filled.fetch(explain))
    await filled.execute("DEALLOCATE planned")
    scanned = [table for table in re.findall(r"Seq Scan on (\w+)", plan) if table in LARGE]
    assert not scanned, plan
    assert "Index" in plan or "Bitmap" in plan, plan


@pytest.mark.parametrize("sql", [BOUNDS, _CACHE_COUNTERS], ids=["bounds", "counters"])
async def test_counters_are_read_by_their_names_and_nothing_is_compiled(database: str, sql: SQL) -> None:
    """A whole table, however small, is so dear without sequential scans that the server would compile for it."""
    session = await Connector(database, Timeouts()).connect()
    plan = "\n".join(row[0] for row in await session.fetch(SQL(f"EXPLAIN (ANALYZE) {sql.text}", ()), {}))
    [jit] = await session.fetch(SQL("SHOW jit", ()), {})
    await close(session)
    assert "Index" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "JIT" not in plan, plan
    assert jit[0] == "off"
