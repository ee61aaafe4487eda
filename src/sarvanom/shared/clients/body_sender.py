"""Sends the body of a streamed request, as its source gives it and no faster than the service reads it."""

import asyncio
from collections.abc import Callable
from typing import Final

from sarvanom.shared.clients.request_body import WatchedBody
from sarvanom.shared.errors import UpstreamFailed

_SMALL: Final = 16_384
_TURN: Final = 65_536


class BodySender:
    """A task that writes the source's parts as chunks (RFC 9112, section 7.1).

    `on_sent` is called when the next step is the service's, `on_complete` in its place after the end, and `on_failed`
    when the source has raised, or was cancelled: the connection must break off then, so that nobody takes half a body
    for a whole one.
    """

    __slots__ = (
        "_drained",
        "_is_paused",
        "_loop",
        "_on_complete",
        "_on_failed",
        "_on_sent",
        "_source",
        "_task",
        "_transport",
        "_written",
        "awaits_source",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        source: WatchedBody,
        on_sent: Callable[[], None],
        on_complete: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._source = source
        self._on_sent = on_sent
        self._on_complete = on_complete
        self._on_failed = on_failed
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._written = 0
        self._loop = asyncio.get_running_loop()
        self.awaits_source = True
        self._task = self._loop.create_task(self._send())

    @property
    def awaits_service(self) -> bool:
        """Whether the service has to read before more can be sent."""
        return self._drained is not None

    def pause(self) -> None:
        """Take nothing from the source until `resume`."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def cancel(self) -> None:
        """Stop soon; idempotent."""
        self._task.cancel()

    async def aclose(self) -> None:
        """Stop, and close the source."""
        self._task.cancel()
        if not self._task.done():
            await asyncio.wait([self._task])
        await self._source.aclose()

    async def _send(self) -> None:
        try:
            await self._write_chunks()
        except asyncio.CancelledError:
            self._on_failed(UpstreamFailed("The request's body broke off"))
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, who reads the answer is told)
            self._on_failed(error)

    async def _write_chunks(self) -> None:
        async for chunk in self._source:
            if chunk:  # an empty chunk would be the end
                self.awaits_source = False
                self._write(chunk)
                self._on_sent()
                await self._drain()
                self.awaits_source = True
        self.awaits_source = False
        self._transport.write(b"0\r\n\r\n")
        self._on_complete()

    def _write(self, chunk: bytes) -> None:
        self._written += len(chunk)
        if len(chunk) < _SMALL:
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        else:
            self._transport.write(b"%x\r\n" % len(chunk))
            self._transport.write(chunk)
            self._transport.write(b"\r\n")

    async def _drain(self) -> None:
        """Wait until the service has read; a source that never waits would give nobody else a turn."""
        if self._is_paused:
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
        elif self._written >= _TURN:
            self._written = 0
            await asyncio.sleep(0)
