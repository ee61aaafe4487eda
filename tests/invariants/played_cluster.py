"""Played processes on real ports, over one played store: they cut off, refuse for a moment, and can be killed."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from tests.harness.system import free_port
from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.faults import Fault
from tests.invariants.history import Change
from tests.invariants.played_store import Answered, Asked, PlayedStore

CUT_OFF = 0.02
AWAY = 0.02


class PlayedCluster(Cluster):
    """The processes; `kill` and `start` are called in threads, as with real ones."""

    def __init__(self, store: PlayedStore, chance: random.Random, processes: int) -> None:
        super().__init__([free_port() for _ in range(processes)])
        self.store = store
        self.chance = chance
        self.loop = asyncio.get_running_loop()
        self.servers: dict[int, asyncio.Server] = {}

    @property
    def faults(self) -> dict[str, Fault]:
        return {"crud killed": self.lose_one}

    def lose_one(self, chance: random.Random) -> None:
        port = chance.choice(self.ports)
        self.kill(port)
        time.sleep(chance.uniform(0, 0.2))
        self.start(port)

    def kill(self, port: int) -> None:
        # The server goes on listening: asyncio leaks what one accepts while it is being closed.
        self.down.add(port)
        self.loop.call_soon_threadsafe(self.servers[port].abort_clients)

    def start(self, port: int) -> None:
        self.down.discard(port)

    async def open(self, port: int) -> None:
        self.servers[port] = await asyncio.start_server(partial(self.serve, port), "127.0.0.1", port)

    async def close(self, port: int) -> None:
        server = self.servers[port]
        server.close()
        server.abort_clients()
        await server.wait_closed()

    async def serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other, as long as the connection lasts."""
        with contextlib.suppress(OSError, EOFError):
            while port not in self.down:
                asked = await receive(reader)
                if "text/event-stream" in asked.headers.get("accept", ""):
                    await self.stream(asked, writer)
                    break
                fate = self.chance.random()
                if fate < CUT_OFF:
                    break
                answered = Answered(503) if fate < CUT_OFF + AWAY else self.store.answer(asked)
                if self.chance.random() < CUT_OFF:
                    break
                send(writer, answered)
                await writer.drain()
        writer.transport.abort()

    async def stream(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """Send changes as they come, until the connection is cut, which may be in the middle of a frame."""
        since = int(asked.headers.get("last-event-id", asked.query["since"]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while self.chance.random() > CUT_OFF / 5:
            end = len(self.store.store.log)
            for change in self.store.watched(since, asked.query.get("resource")):
                send_chunk(writer, frame(change))
            since = end
            send_chunk(writer, b"id: %d\n: still here\n\n" % since)
            await writer.drain()
            await asyncio.sleep(0.01)
        send_chunk(writer, b"id: 1\nevent: cha")
        await writer.drain()


def frame(change: Change) -> bytes:
    return b"id: %d\nevent: change\ndata: %b\n\n" % (change.revision, orjson.dumps(asdict(change)))


def send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def receive(reader: asyncio.StreamReader) -> Asked:
    """Return the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    method, target, _ = line.split(" ")
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def send(writer: asyncio.StreamWriter, answered: Answered) -> None:
    """Send an answer."""
    body: Any = b"" if answered.body is None else orjson.dumps(answered.body)
    headers = {**answered.headers, **({} if answered.status == 204 else {"content-length": str(len(body))})}
    lines = [f"HTTP/1.1 {answered.status} -", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


@contextlib.asynccontextmanager
async def played_cluster(store: PlayedStore, processes: int) -> AsyncIterator[PlayedCluster]:
    """Run played processes."""
    cluster = PlayedCluster(store, store.chance, processes)
    try:
        for port in cluster.ports:
            await cluster.open(port)
        yield cluster
    finally:
        for port in [*cluster.servers]:
            await cluster.close(port)
