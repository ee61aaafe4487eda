"""Why revisions are no sequence of the database: its numbers are taken before commit, so a watcher passes one over."""

import asyncio
from dataclasses import dataclass, field

import asyncpg
import pytest

from tests.invariants.chaos.record import now
from tests.invariants.checker import check
from tests.invariants.history import Change, Event, Head, Logged, Row, Seen, Watching, Write

TABLES = """
CREATE TABLE log (revision bigint PRIMARY KEY, id text NOT NULL);
CREATE SEQUENCE numbers;
CREATE TABLE counter (revision bigint NOT NULL);
INSERT INTO counter VALUES (0);
"""
SEQUENCE = "SELECT nextval('numbers')"
LOCKED_ROW = "UPDATE counter SET revision = revision + 1 RETURNING revision"


@dataclass
class Scene:
    """Two writers, the first of which is slow to commit, and a watcher that asks for what is after its last."""

    url: str
    allocate: str
    events: list[Event] = field(default_factory=list)
    last: int = 0

    async def write(self, id: str, numbered: asyncio.Event, commit: asyncio.Event) -> None:
        """Take a number, tell, and commit when told to."""
        connection = await asyncpg.connect(self.url)
        try:
            called_at = now()
            async with connection.transaction():
                revision = await connection.fetchval(self.allocate)
                await connection.execute("INSERT INTO log VALUES ($1, $2)", revision, id)
                numbered.set()
                await commit.wait()
        finally:
            await connection.close()
        self.events.append(
            Write(
                writer=id,
                key=id,
                request_id=id,
                operation="create",
                resource="settings",
                id=id,
                called_at=called_at,
                tried_at=called_at,
                returned_at=now(),
                outcome="ok",
                status=201,
                revision=revision,
                sent={"setting_key": id},
                answered=change(revision, id).after,
            )
        )

    async def poll(self, connection: asyncpg.Connection) -> None:
        """Let the watcher see what is new."""
        for row in await connection.fetch("SELECT * FROM log WHERE revision > $1 ORDER BY revision", self.last):
            self.last = row["revision"]
            self.events.append(Seen(watcher="watcher", seen_at=now(), change=change(row["revision"], row["id"])))

    async def play(self, connection: asyncpg.Connection) -> None:
        """Let the first number be committed last, if the second writer gets a number before that at all."""
        await connection.execute(TABLES)
        self.events.append(Watching(watcher="watcher", since=0, asked_at=now()))
        first_numbered, second_numbered, slow, at_once = (asyncio.Event() for _ in range(4))
        at_once.set()
        async with asyncio.TaskGroup() as writers:
            writers.create_task(self.write("first", first_numbered, slow))
            await first_numbered.wait()
            second = writers.create_task(self.write("second", second_numbered, at_once))
            await until_settled(connection, second)
            await self.poll(connection)
            slow.set()
        await self.poll(connection)
        self.events += await final_state(connection)


async def until_settled(connection: asyncpg.Connection, second: asyncio.Task[None]) -> None:
    """Return when the second writer is done, or waits for the first one's lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not second.done() and not await connection.fetchval(waiting):
        await asyncio.wait([second], timeout=0.01)


async def final_state(connection: asyncpg.Connection) -> list[Event]:
    """Return the log, the table and the head."""
    changes = [
        change(row["revision"], row["id"]) for row in await connection.fetch("SELECT * FROM log ORDER BY revision")
    ]
    logged = [Logged(change=one) for one in changes]
    rows = [Row(resource=one.resource, id=one.id, body=one.after or {}) for one in changes]
    return [*logged, *rows, Head(revision=len(changes))]


def change(revision: int, id: str) -> Change:
    """Return the log's entry for a creation."""
    return Change(
        revision=revision,
        resource="settings",
        id=id,
        operation="create",
        request_id=id,
        previous_revision=None,
        after={"setting_key": id, "revision": revision},
    )


@pytest.mark.parametrize(
    ("allocate", "violations"),
    [
        pytest.param(SEQUENCE, ["watch_missed: watcher (from 0) never saw revision 1"], id="sequence"),
        pytest.param(LOCKED_ROW, [], id="locked row"),
    ],
)
async def test_a_sequence_makes_a_watcher_miss_a_change(
    postgres_database: str, allocate: str, violations: list[str]
) -> None:
    scene = Scene(postgres_database, allocate)
    connection = await asyncpg.connect(postgres_database)
    try:
        async with asyncio.timeout(30):
            await scene.play(connection)
    finally:
        await connection.close()
    assert list(map(str, check(scene.events))) == violations
