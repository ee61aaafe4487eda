"""The workers of a service: whichever is asked for metrics asks the others, over sockets in a folder of theirs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from sarvanom.observability.exposition import Payload

_SECONDS: Final = 1.0


class Place(NamedTuple):
    """Which worker of how many a process is, and the folder where they find each other; None if it is alone."""

    worker: int = 0
    workers: int = 1
    folder: Path | None = None


class Siblings:
    """Answers the other workers of a service with what `read` returns, and reads theirs."""

    def __init__(self, place: Place, service: str, read: Callable[[], Payload]) -> None:
        self._place = place
        self._service = service
        self._read = read
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer."""
        if self._place.folder is None:
            return
        path = self._path(self._place.folder, self._place.worker)
        path.unlink(missing_ok=True)  # of the process that had the place before
        self._server = await asyncio.start_unix_server(self._answer, path)

    async def aclose(self) -> None:
        """Answer no more; whoever does not read an answer that it asked for is not waited for."""
        if self._server is not None:
            self._server.close()

    async def read_all(self) -> tuple[list[Payload], int]:
        """Return what all workers have measured, this one first, and how many did not answer within a second."""
        own = [self._read()]
        folder = self._place.folder
        if folder is None:
            return own, 0
        others = [number for number in range(self._place.workers) if number != self._place.worker]
        found = await asyncio.gather(*(self._ask(self._path(folder, number)) for number in others))
        there = [payload for payload in found if payload is not None]
        return own + there, len(others) - len(there)

    def _path(self, folder: Path, worker: int) -> Path:
        return folder / f"{self._service}-{worker}"

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(orjson.dumps(self._read()))
        writer.close()

    async def _ask(self, path: Path) -> Payload | None:
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    payload: Payload = orjson.loads(await reader.read())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return None
        return payload
