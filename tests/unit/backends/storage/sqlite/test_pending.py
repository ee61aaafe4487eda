"""Writes of one group have the outcomes that they have one by one, though they wait to be stored."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.backends.storage.contract import Document, IdempotencyKey, Origin, Write, Written
from sarvanom.backends.storage.documents import Moment
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.sqlite.database import open_writer
from sarvanom.backends.storage.sqlite.pending import Pending
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import ResourceNotFound, SarvanOMError
from sarvanom.shared.models.crud_models import CacheEntry, ResourceModel, SystemSetting, UserProfile
from sarvanom.shared.resources import CACHE, SETTINGS, USERS

_TIMES = re.compile(rb',"created_at":"[^"]+","updated_at":"[^"]+"')

type Step = tuple[str, str, str, int, int | None]

steps = st.lists(
    st.tuples(
        st.sampled_from(["cache", "users", "settings"]),
        st.sampled_from(["put", "create", "delete"]),
        st.sampled_from("abc"),
        st.integers(0, 2),
        st.none() | st.integers(0, 3),
    ),
    max_size=30,
)


def make_write(step: Step) -> Write:
    name, action, id, value, key = step
    resource: Any = {"cache": CACHE, "users": USERS, "settings": SETTINGS}[name]
    item: ResourceModel = {
        "cache": CacheEntry(key=id, value=value, tags=["t", f"t{value}"]),
        "users": UserProfile(user_id=id, username=f"u{value}", email=f"{value}@example.org"),
        "settings": SystemSetting(setting_key=id, setting_value=value),
    }[name]

    def decide(current: Document | None) -> ResourceModel | None:
        if (action == "create" and current is not None) or (action == "delete" and current is None):
            raise ResourceNotFound(f"{current is None}")
        return None if action == "delete" else item

    request_id, actor = ("r", None) if value else ("other", "ada")
    origin = Origin(request_id, actor, None if key is None else IdempotencyKey(f"k{key}", repr(step).encode()))
    return Write(resource, id, decide, None if action == "delete" else item, origin)


def told(outcome: Written | SarvanOMError) -> Any:
    """Return an outcome without its times."""
    if isinstance(outcome, SarvanOMError):
        return type(outcome), outcome.detail
    document = outcome.document
    return outcome.revision, outcome.is_replay, document and (document.id, document.revision)


async def one_by_one(store: SQLiteStore, writes: Sequence[Write]) -> list[Any]:
    outcomes = []
    for write in writes:
        try:
            outcomes.append(told(await store.write(write)))
        except SarvanOMError as error:
            outcomes.append(told(error))
    return outcomes


async def entries(store: SQLiteStore) -> list[Any]:
    """Return what the log says, without its times."""
    page = await store.log.page(ChangeQuery(since=0, limit=1000))
    return [change._replace(time="", body=change.body and _TIMES.sub(b"", change.body)) for change in page.changes]


@given(st.lists(steps, max_size=3))
@settings(max_examples=60, deadline=None)
async def test_a_group_is_as_its_writes_one_by_one(groups: list[list[Step]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        together, apart = SQLiteStore(Path(folder, "a.db")), SQLiteStore(Path(folder, "b.db"))
        try:
            for group in groups:
                outcomes = await together.write_all([make_write(step) for step in group])
                assert list(map(told, outcomes)) == await one_by_one(apart, [make_write(step) for step in group])
            assert await entries(together) == await entries(apart)
            for resource in (CACHE, USERS, SETTINGS):
                for id in "abc":
                    one, other = await together.read(resource, id), await apart.read(resource, id)
                    assert (one and one.revision) == (other and other.revision)
        finally:
            await together.aclose()
            await apart.aclose()


async def test_many_new_resources_are_stored_in_their_order(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "many.db")
    writes = [make_write(("settings", "create", f"k{number}", 0, number)) for number in range(777)]
    outcomes = await store.write_all(writes)
    assert [outcome.revision for outcome in outcomes if isinstance(outcome, Written)] == list(range(1, 778))
    again = await store.write_all(writes)
    assert all(isinstance(outcome, Written) and outcome.is_replay for outcome in again)
    assert (await store.log.bounds()).head == 777
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "many.db"))) as connection:
        stored = [key for (key,) in connection.execute("SELECT setting_key FROM settings ORDER BY rowid")]
    assert stored == sorted(write.id for write in writes)


def test_a_row_that_is_refused_after_all_ends_the_transaction(file: Path) -> None:
    with closing(open_writer(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        pending = Pending(Moment.now())
        for revision in (1, 1):
            pending.add_entry(Change(revision, "models", "m", "create", "s", None, None, "r", "t", None, None, b"{}"))
        with pytest.raises(apsw.ConstraintError):
            pending.flush(connection)
        assert not connection.in_transaction


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """The flags of the files that SQLite opens."""
    flags: list[int] = []

    class Noted(apsw.VFS):
        def xOpen(self, name: str | apsw.URIFilename | None, given: list[int]) -> apsw.VFSFile:  # noqa: N802
            flags.append(given[0])
            return super().xOpen(name, given)

    before = apsw.vfs_names()[0]
    noted = Noted("noted", before, makedefault=True)
    yield flags
    apsw.set_default_vfs(before)
    noted.unregister()


async def test_what_a_group_would_undo_goes_to_no_file(tmp_path: Path, opened: list[int]) -> None:
    """Every page of an index that it touches would be written there, before it is written where it belongs."""
    store = SQLiteStore(tmp_path / "many.db")
    for begin in range(10):
        numbers = range(begin, 30_000, 10)
        await store.write_all([make_write(("settings", "create", f"{number:05}" * 20, 0, None)) for number in numbers])
    await store.aclose()
    assert any(flags & apsw.SQLITE_OPEN_WAL for flags in opened)
    assert not any(flags & apsw.SQLITE_OPEN_SUBJOURNAL for flags in opened)
