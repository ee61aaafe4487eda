"""Files of version 0.1.0 become files of today, whole or not at all, and history begins there."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from sarvanom.backends.storage.schema import HEAD, upgrade_script
from sarvanom.backends.storage.sqlite import database
from sarvanom.backends.storage.sqlite.database import migrate_file, open_writer
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.shared.changes import ChangeQuery, LogBounds
from sarvanom.shared.errors import ResourceConflict, RevisionCompacted
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import CACHE, DATASETS, MODELS, SETTINGS, USERS, Resource
from tests.unit.backends.storage.rows import dataset, entry, put, remove
from tests.unit.backends.storage.sqlite.old_files import (
    LAST_REVISION,
    VERSION_0_1_0,
    change_file,
    contents,
    make_old_file,
)

LOGGED: list[tuple[Resource[Any], str, int]] = [
    (USERS, "ada", 1),
    (MODELS, "meta-llama/Llama-3.1-8B", 3),
    (SETTINGS, "limits", 6),
    (DATASETS, "wiki", 8),
]


@pytest.fixture
def old_file(file: Path) -> Path:
    make_old_file(file)
    return file


@pytest.fixture
async def migrated(old_file: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(old_file)
    yield store
    await store.aclose()


def old_bodies() -> dict[str, bytes]:
    """Return the bodies in an old file by their ids."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(VERSION_0_1_0.read_text())
        queries = (f"SELECT {r.id_field}, body FROM {r.collection}" for r in (USERS, MODELS, SETTINGS, DATASETS, CACHE))
        return {id: body for query in queries for id, body in connection.execute(query)}


async def test_every_resource_is_read_as_it_was_written(migrated: SQLiteStore) -> None:
    bodies = old_bodies()
    for resource, id, revision in [*LOGGED, (CACHE, "answer/1", 2)]:
        document = await migrated.read(resource, id)
        assert document is not None
        assert (document.body, document.revision) == (bodies[id], revision)
        page = await migrated.list(resource, parse_query(resource, b"include_total=true"))
        assert (page.bodies, page.total) == ([bodies[id]], 1)
    assert await migrated.read(CACHE, "answer/2") is None
    tagged = await migrated.list(CACHE, parse_query(CACHE, b"tags__contains=a"))
    assert tagged.bodies == [bodies["answer/1"]]
    assert (await migrated.stats(CACHE)).hits == 1 + 1


async def test_history_begins_with_the_state_at_the_last_revision(migrated: SQLiteStore) -> None:
    assert await migrated.log.bounds() == LogBounds(LAST_REVISION, LAST_REVISION)
    assert (await migrated.log.page(ChangeQuery())).changes == []
    bodies = old_bodies()
    for resource, id, revision in LOGGED:
        state = await migrated.log.state(resource, id, LAST_REVISION)
        assert state is not None
        item = orjson.loads(bodies[id])
        assert (state.revision, state.body, state.kind) == (revision, bodies[id], "create")
        assert (state.service, state.time, state.request_id) == (item["service"], item["updated_at"], "")
        assert (state.left_service, state.actor, state.previous, state.reverts) == (None, None, None, None)
        assert await migrated.log.change(revision) is None
    assert await migrated.log.state(DATASETS, "gone", LAST_REVISION) is None
    for query in (ChangeQuery(LAST_REVISION - 1), ChangeQuery(0, "users", "ada")):
        with pytest.raises(RevisionCompacted) as caught:
            await migrated.log.page(query)
        assert caught.value.headers["SarvanOM-Oldest-Revision"] == str(LAST_REVISION)


async def test_writes_continue_both_sequences(migrated: SQLiteStore) -> None:
    assert (await put(migrated, CACHE, entry("answer/1", tags=["c"]))).revision == LAST_REVISION + 1
    assert (await put(migrated, DATASETS, dataset("wiki", service="other"))).revision == LAST_REVISION + 1
    assert (await remove(migrated, USERS, "ada")).revision == LAST_REVISION + 2
    assert (await put(migrated, CACHE, entry("new"))).revision == LAST_REVISION + 2
    changes = (await migrated.log.page(ChangeQuery())).changes
    assert [(c.kind, c.previous, c.service, c.left_service) for c in changes] == [
        ("update", 8, "other", "search"),
        ("delete", 1, "chat", None),
    ]


async def test_first_log_can_be_compacted(migrated: SQLiteStore) -> None:
    await put(migrated, DATASETS, dataset("wiki"))
    await remove(migrated, USERS, "ada")
    assert await migrated.log.compact(keep=0) == 2
    states = [await migrated.log.state(resource, id, LAST_REVISION + 2) for resource, id, _ in LOGGED]
    assert [state and state.revision for state in states] == [None, 3, 6, LAST_REVISION + 1]


async def test_unique_values_are_still_taken(migrated: SQLiteStore) -> None:
    with pytest.raises(ResourceConflict):
        await put(migrated, USERS, UserProfile(user_id="b", username="ADA", email="b@example.org"))


def test_migration_tells_from_where_to_where_it_went(old_file: Path, tmp_path: Path) -> None:
    assert migrate_file(old_file) == ("0001", HEAD)
    assert migrate_file(old_file) == (HEAD, HEAD)
    assert migrate_file(tmp_path / "folder" / "new.db") == (None, HEAD)


def test_second_start_changes_nothing(old_file: Path) -> None:
    open_writer(old_file).close()
    before = contents(old_file)
    open_writer(old_file).close()
    assert contents(old_file) == before


def test_old_file_without_rows_is_migrated_too(old_file: Path) -> None:
    tables = ("users", "models", "settings", "datasets", "cache_tags", "cache")
    change_file(old_file, "".join(f"DELETE FROM {table};" for table in tables) + "UPDATE counters SET value = 0")
    with closing(open_writer(old_file)) as connection:
        assert connection.execute("SELECT count(*) FROM changes").get == 0
        assert dict(connection.execute("SELECT name, value FROM counters"))["floor"] == 0


def statements_of(script: str) -> list[str]:
    statements = [""]
    for line in script.splitlines(keepends=True):
        statements[-1] += line
        if sqlite3.complete_statement(statements[-1]):
            statements.append("")
    return [statement for statement in statements if statement.strip()]


@pytest.mark.parametrize("start", [None, "0001"])
def test_migration_that_fails_halfway_leaves_the_file_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch, start: str | None
) -> None:
    if start is not None:
        make_old_file(file)
    before = contents(file)
    statements = statements_of(upgrade_script("sqlite", start))
    assert len(statements) > 5
    for done in range(len(statements) + 1):
        script = "".join(statements[:done]) + "INSERT INTO absent VALUES (1);"
        with monkeypatch.context() as patched:
            patched.setattr(database, "upgrade_script", lambda *_, script=script: script)
            with pytest.raises(Exception, match="no such table: absent"):
                open_writer(file)
        assert contents(file) == before
    open_writer(file).close()
