"""Migrations of PostgreSQL: from nothing, from an older version, by several at once, and of what is not ours."""

import asyncio
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from sarvanom.backends.storage.postgres.connections import DIALECT
from sarvanom.backends.storage.postgres.migration import check_schema, migrate
from sarvanom.backends.storage.schema import HEAD, IncompatibleDatabase, upgrade_script
from sarvanom.backends.storage.tables import COUNTER_NAMES, METADATA
from sarvanom.shared.models.crud_models import CacheEntry
from sarvanom.shared.resources import USERS
from tests.harness.postgres import PostgresDatabases
from tests.unit.backends.storage.postgres.things import ask, opened, put, user

COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, collation_name, column_default
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY table_name, column_name"""
INDEXES = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"""
CONSTRAINTS = """
SELECT conrelid::regclass::text AS t, contype::text, pg_get_constraintdef(oid) AS d FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text <> 'alembic_version'
ORDER BY 1, 2, 3"""


async def run(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def migrate_to_first(url: str) -> None:
    """Build the schema of the first version: all that the script does before the second."""
    marker = "-- Running upgrade 0001 -> 0002"
    script, found, _ = upgrade_script("postgresql", None).partition(marker)
    assert found
    await run(url, script)


async def described(url: str) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await ask(url, question)] for question in (COLUMNS, INDEXES, CONSTRAINTS)]


async def test_a_migrated_database_is_what_the_tables_say(postgres: PostgresDatabases, postgres_database: str) -> None:
    await migrate(postgres_database)
    declared = await asyncio.to_thread(postgres.create_database)
    elements: list[sa.schema.DDLElement] = []
    for table in METADATA.sorted_tables:
        elements += [CreateTable(table), *(CreateIndex(index) for index in table.indexes)]
    await run(declared, ";".join(str(element.compile(dialect=DIALECT)) for element in elements))
    assert await described(postgres_database) == await described(declared)
    counters = await ask(postgres_database, "SELECT name, value FROM counters")
    assert {row[0]: row[1] for row in counters} == dict.fromkeys(COUNTER_NAMES, 0)
    await asyncio.to_thread(postgres.drop_database, declared)


async def test_migrating_twice_and_by_many_at_once_is_harmless(postgres_database: str) -> None:
    found = await asyncio.gather(*(migrate(postgres_database) for _ in range(4)))
    assert sorted(found, key=str) == [*[(HEAD, HEAD)] * 3, (None, HEAD)]
    await check_schema(postgres_database)


async def test_an_older_database_keeps_its_rows_and_begins_its_history(postgres_database: str) -> None:
    await migrate_to_first(postgres_database)
    time = "2026-01-01T00:00:00.000000Z"
    for number in (1, 3):
        await ask(
            postgres_database,
            "INSERT INTO users VALUES ($1, $1, $1 || '@example.org', 'default', $2, $2, $3, convert_to("
            "'{\"user_id\":\"' || $1 || '\"}', 'UTF8'))",
            f"u{number}",
            time,
            number,
        )
    await ask(postgres_database, "UPDATE counters SET value = 3 WHERE name = 'revision'")
    with pytest.raises(IncompatibleDatabase, match=r"0001.*run `sarvanom migrate`"):
        await check_schema(postgres_database)
    assert await migrate(postgres_database) == ("0001", HEAD)
    async with opened(postgres_database) as (store, service):
        assert await store.log.bounds() == (3, 3)
        state = await store.log.state(USERS, "u1", 3)
        assert state is not None
        assert (state.revision, state.body) == (1, b'{"user_id":"u1"}')
        assert (await service.users.create(user("new", "new"))).revision == 4
        assert (await service.cache.create(CacheEntry(key="k", value=1))).revision == 4
        assert (await store.write(put(1))).revision == 5


NOT_OURS = {
    "newer": ("UPDATE alembic_version SET version_num = '9999'", "9999.*start a newer one"),
    "two versions": ("INSERT INTO alembic_version VALUES ('0001')", "half migrated"),
    "no version": ("DELETE FROM alembic_version", "half migrated"),
    "a table missing": ("DROP TABLE changes", "lacks changes"),
    "counters missing": ("DROP TABLE counters", "another program's"),
    "another version table": ("ALTER TABLE alembic_version RENAME version_num TO v", "another program's"),
}


@pytest.mark.parametrize("way", NOT_OURS)
async def test_a_database_that_is_not_whole_or_not_ours_is_refused_and_left_as_it_is(
    postgres_database: str, way: str
) -> None:
    damage, said = NOT_OURS[way]
    await migrate(postgres_database)
    await ask(postgres_database, damage)
    before = await described(postgres_database)
    for action in (migrate, check_schema):
        with pytest.raises(IncompatibleDatabase, match=said) as raised:
            await action(postgres_database)
        assert "\n" not in str(raised.value)
    assert await described(postgres_database) == before


async def test_another_programs_database_is_refused(postgres_database: str) -> None:
    with pytest.raises(IncompatibleDatabase, match="run `sarvanom migrate`"):
        await check_schema(postgres_database)
    await ask(postgres_database, "CREATE TABLE theirs (id INTEGER)")
    for action in (migrate, check_schema):
        with pytest.raises(IncompatibleDatabase, match="not empty"):
            await action(postgres_database)
    await ask(postgres_database, "CREATE TABLE alembic_version (version_num TEXT)")
    await ask(postgres_database, "INSERT INTO alembic_version VALUES ('0001')")
    for action in (migrate, check_schema):
        with pytest.raises(IncompatibleDatabase, match="another program's"):
            await action(postgres_database)
