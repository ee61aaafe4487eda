"""Watchers and readers: they note what they are shown, through one process after the other."""

import asyncio
import contextlib
import random
from collections.abc import Sequence

from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.record import Goal, Record, now
from tests.invariants.chaos.sse import Frame, FrameReader
from tests.invariants.chaos.wire import Connection, CutOff
from tests.invariants.checks.indexed import Place
from tests.invariants.history import Moved, Read, Seen, Watching


class Watcher:
    """Follows the log as server-sent events, and resumes from the last one whenever it is cut off.

    One that is `restless` cuts itself off at random, in the middle of whatever is on its way.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        record: Record,
        chance: random.Random,
        *,
        since: int = 0,
        only: str | None = None,
        restless: bool = False,
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.record = record
        self.chance = chance
        self.only = only
        self.restless = restless
        self.start = self.position = since
        self.moved = asyncio.Condition()
        self._asked = False

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            connection = Connection(self.cluster.live_port(self.chance))
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.chance.uniform(0.2, 6) if self.restless else None):
                        await self.watch(connection)
                self.record.tally["watchers left"] += 1
            except CutOff:
                self.record.tally["watchers cut off"] += 1
                await asyncio.sleep(self.chance.uniform(0.02, 0.2))
            finally:
                connection.close()

    async def watch(self, connection: Connection) -> None:
        """Take frames from one connection until it ends, which raises `CutOff`."""
        headers = {"accept": "text/event-stream"}
        if self._asked:
            headers["last-event-id"] = str(self.position)
        path = f"/changes?since={self.start}" + (f"&resource={self.only}" if self.only else "")
        answer = await connection.begin(path, headers)
        if answer.status != 200:
            self.judge_refusal(answer.status)
            raise CutOff(f"{answer.status}")
        self._asked = True
        self.record.add(Watching(watcher=self.name, since=self.position, asked_at=now(), only=self.only))
        frames = FrameReader()
        async with contextlib.aclosing(connection.follow(answer)) as pieces:
            async for piece in pieces:
                for frame in frames.feed(piece):
                    self.take(frame)
                async with self.moved:
                    self.moved.notify_all()
                self.record.tally["heartbeats"] += frames.take_comments()

    def take(self, frame: Frame) -> None:
        """Note what a frame says."""
        if not frame.data:
            self.move(frame.id)
            return
        if frame.event != "change":
            self.record.surprise(f"{self.name} was sent {frame}")
            return
        change = self.record.parse(frame.data)
        if frame.id != str(change.revision):
            self.record.surprise(f"the frame {frame.id!r} holds revision {change.revision}")
        self.record.add(Seen(watcher=self.name, seen_at=now(), change=change))
        self.record.tally["changes seen"] += 1
        self.position = change.revision

    def move(self, id: str) -> None:
        """Note a place that comes without a change, as heartbeats carry it: it is where to resume."""
        if id and int(id) != self.position:
            self.position = int(id)
            self.record.add(Moved(watcher=self.name, revision=self.position))
            self.record.tally["watchers moved"] += 1

    def judge_refusal(self, status: int) -> None:
        """Note a refusal to watch that is not for a moment only."""
        if status not in {429, 502, 503, 504}:
            self.record.surprise(f"{self.name} was refused at {self.position}: {status}")

    async def reach(self, revision: int) -> None:
        """Return when the watcher has seen a revision."""
        async with self.moved:
            await self.moved.wait_for(lambda: self.position >= revision)


class Reader:
    """Reads one resource after the other."""

    def __init__(
        self, name: str, cluster: Cluster, record: Record, chance: random.Random, places: Sequence[Place]
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.record = record
        self.chance = chance
        self.places = places
        self.connections = {port: Connection(port) for port in cluster.ports}

    async def run(self, goal: Goal, pause: float) -> None:
        """Read until that is enough, with pauses of `pause` seconds on average."""
        try:
            while not self.record.is_enough(goal):
                await asyncio.sleep(self.chance.uniform(0, 2 * pause))
                await self.read(self.chance.choice(self.places))
        finally:
            for connection in self.connections.values():
                connection.close()

    async def read(self, where: Place) -> None:
        """Read one resource, and note what it was if there was an answer."""
        connection = self.connections[self.cluster.live_port(self.chance)]
        called_at = now()
        try:
            answer = await connection.ask("GET", f"/{where[0]}/{where[1]}")
        except CutOff:
            self.record.tally["reads cut off"] += 1
            return
        returned_at = now()
        if answer.status != 200 and not answer.is_not_found:
            self.record.tally[f"reads {answer.status}"] += 1
            if answer.status not in {429, 502, 503, 504}:
                self.record.surprise(f"GET {where}: {answer.status} {answer.body[:300]!r}")
            return
        body = answer.json()["data"] if answer.status == 200 else None
        self.record.tally["reads"] += 1
        self.record.add(
            Read(
                reader=self.name,
                resource=where[0],
                id=where[1],
                called_at=called_at,
                returned_at=returned_at,
                revision=body["revision"] if body else None,
                body=body,
            )
        )
