"""The connection to Valkey or Redis: one script at a time, each bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha1
from typing import Any, Final

from valkey.asyncio import ConnectionPool
from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import NoScriptError, ValkeyError

from sarvanom.backends.limits.valkey.scripts import ROOT

_FAILURES: Final = (ValkeyError, OSError, ValueError)  # a TimeoutError is an OSError


class LimitsAway(Exception):
    """What the gateways share cannot be asked now."""


class ValkeyScripts:
    """Carries scripts out over one connection.

    `answer` bounds one script, `opening` the opening, in seconds. Every failure closes the connection.
    """

    def __init__(self, url: str, *, answer: float = 0.25, opening: float = 1.0) -> None:
        """Take a URL; raises `ValueError`, without a word of what is in it, if it cannot be read."""
        self._answer_seconds = answer
        self._opening_seconds = opening
        self._turn = asyncio.Lock()
        try:
            pool = ConnectionPool.from_url(
                url, socket_timeout=None, client_name="sarvanom", lib_name=None, lib_version=None
            )
            self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 (the driver quotes the URL, and raises anything)
            message = "The URL of Valkey cannot be read; it must be valkey://USER:PASSWORD@HOST:PORT/NUMBER"
            raise ValueError(message) from None

    async def open(self) -> None:
        """Open the connection anew and see that the server answers; raises `LimitsAway`."""
        async with self._turn:
            await self._connection.disconnect(nowait=True)
            await self._bounded(self._opening_seconds, self._greet)

    async def ping(self) -> None:
        """See that the server answers; raises `LimitsAway`."""
        async with self._turn:
            if not self._connection.is_connected:
                raise LimitsAway("not connected")
            await self._bounded(self._answer_seconds, lambda: self._ask("PING"))

    async def run(self, script: str, call: bytes) -> bytes:
        """Carry a script out; raises `LimitsAway`, and then nobody knows whether it was."""
        async with self._turn:
            if not self._connection.is_connected:
                raise LimitsAway("not connected")
            return await self._bounded(self._answer_seconds, lambda: self._evaluate(script, call))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)

    async def _bounded[R](self, seconds: float, step: Callable[[], Awaitable[R]]) -> R:
        try:
            async with asyncio.timeout(seconds):
                return await step()
        except _FAILURES as error:
            await self._connection.disconnect(nowait=True)
            raise LimitsAway(type(error).__name__) from error
        except BaseException:
            # An answer may still be to come: nothing else can be asked over this connection.
            await self._connection.disconnect(nowait=True)
            raise

    async def _greet(self) -> None:
        await self._connection.connect()  # type: ignore[no-untyped-call]
        await self._ask("PING")

    async def _evaluate(self, script: str, call: bytes) -> bytes:
        try:
            answer: bytes = await self._ask("EVALSHA", _digest(script), 1, ROOT, call)
        except NoScriptError:
            answer = await self._ask("EVAL", script, 1, ROOT, call)
        return answer

    async def _ask(self, *words: str | bytes | int) -> Any:
        connection = self._connection
        await connection.send_packed_command(connection.pack_command(*words), check_health=False)
        return await connection.read_response()


@cache
def _digest(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
