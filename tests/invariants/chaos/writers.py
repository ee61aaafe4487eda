"""Writers: each logical write has one key, is tried until its outcome is certain, and is repeated now and then."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.record import Goal, Record, now
from tests.invariants.chaos.wire import Answer, Connection, CutOff
from tests.invariants.chaos.workload import Intent, Workload
from tests.invariants.history import Write

PATIENCE = 20.0
"""After so many seconds without a certain answer, the outcome of a write is unknown."""
TRY_AGAIN = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Settled:
    """The certain answer to a write, if there was one, and when it was tried and returned."""

    called_at: float
    tried_at: float
    returned_at: float | None
    answer: Answer | None


class Writer:
    """One of many; everything it chooses follows from its chance."""

    def __init__(self, number: int, cluster: Cluster, record: Record, chance: random.Random) -> None:
        self.name = f"writer {number}"
        self.number = number
        self.cluster = cluster
        self.record = record
        self.chance = chance
        self.workload = Workload(number, chance)
        self.connections = {port: Connection(port) for port in cluster.ports}
        self.done: deque[tuple[Intent, Write]] = deque(maxlen=10)

    async def run(self, goal: Goal, pause: float) -> None:
        """Write until that is enough, with pauses of `pause` seconds on average."""
        try:
            while not self.record.is_enough(goal):
                await asyncio.sleep(self.chance.uniform(0, 2 * pause))
                if self.done and self.chance.random() < 0.08:
                    await self.replay(*self.chance.choice(self.done))
                else:
                    await self.write()
        finally:
            for connection in self.connections.values():
                connection.close()

    async def write(self) -> None:
        """Carry out one logical write, and note what became of it."""
        intent = self.workload.next()
        key = f"{self.number}.{self.workload.number}.{self.chance.getrandbits(64):016x}"
        settled = await self.settle(intent, key)
        write = self.told(intent, key, settled)
        self.record.add(write)
        self.record.tally[f"writes {write.outcome}"] += 1
        self.workload.learn(intent, write.status, write.revision)
        if write.outcome == "ok":
            self.done.append((intent, write))

    async def replay(self, intent: Intent, first: Write) -> None:
        """Send a write again that was acknowledged; it must be answered as it was, and act no more."""
        settled = await self.settle(intent, first.key)
        if settled.answer is None:
            return
        again = self.told(intent, first.key, settled)
        self.record.add(again)
        self.record.tally["replays"] += 1
        if not again.replayed:
            self.record.surprise(f"a replay is not called one: {replace(again, sent=None, answered=None)}")

    async def settle(self, intent: Intent, key: str) -> Settled:
        """Try a write, at one process after the other, until its outcome is certain or the patience is over."""
        headers = {"idempotency-key": key, "x-request-id": key}
        headers |= [intent.condition] if intent.condition else []
        body = None if intent.sent is None else orjson.dumps(intent.sent)
        called_at = tried_at = now()
        while tried_at < called_at + PATIENCE:
            connection = self.connections[self.cluster.live_port(self.chance)]
            try:
                answer = await connection.ask(intent.method, intent.path, headers, body)
            except CutOff:
                self.record.tally["tries cut off"] += 1
            else:
                if self.is_certain(intent, answer):
                    return Settled(called_at, tried_at, now(), answer)
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))
            tried_at = now()
        return Settled(called_at, tried_at, None, None)

    def is_certain(self, intent: Intent, answer: Answer) -> bool:
        """Tell whether an answer says what became of the write; note it if it is one that should not be."""
        status = answer.status
        self.record.tally[f"answers {status}"] += 1
        if status in {502, 503, 504} | TRY_AGAIN or (status == 409 and "retry-after" in answer.headers):
            return False
        if status not in intent.expected or (status == 404 and not answer.is_not_found):
            self.record.surprise(f"{intent.method} {intent.path} {intent.sent}: {status} {answer.body[:300]!r}")
        return status < 500

    def told(self, intent: Intent, key: str, settled: Settled) -> Write:
        """Return what a writer learned as an event."""
        write = Write(
            writer=self.name,
            key=key,
            request_id=key,
            operation=intent.operation,
            resource=intent.resource,
            id=intent.id,
            called_at=settled.called_at,
            tried_at=settled.tried_at,
            returned_at=settled.returned_at,
            outcome="unknown",
            sent=intent.sent,
        )
        answer = settled.answer
        if answer is None:
            return write
        if answer.status >= 300:
            return replace(write, outcome="refused", status=answer.status)
        return replace(
            write,
            outcome="ok",
            status=answer.status,
            revision=int(answer.headers.get("sarvanom-revision", 0)),
            replayed=answer.headers.get("idempotency-replayed") == "true",
            answered=_data(answer),
        )


def _data(answer: Answer) -> dict[str, Any] | None:
    if answer.status == 204:
        return None
    data: dict[str, Any] = answer.json()["data"]
    return data
