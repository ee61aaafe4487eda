"""One connection to a service, which carries one exchange, both ways at once."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from typing import Final, cast

from sarvanom.shared.clients.body_sender import BodySender
from sarvanom.shared.clients.http_response import StreamedResponseReader
from sarvanom.shared.clients.request_body import WatchedBody
from sarvanom.shared.clients.silence import SilenceTimer
from sarvanom.shared.clients.transport import Headers, Request
from sarvanom.shared.errors import InternalError, UpstreamFailed, UpstreamTimeout

_HIGH: Final = 65_536
_LOW: Final = 16_384


class StreamConnection(asyncio.Protocol):
    """An open connection that belongs to one stream, and is dropped with it.

    What has come and is not read yet is bounded: beyond 64 KiB the socket is left alone, so that it is never more than
    that and one read of the event loop (256 KiB). The same holds for what was written and is not sent. `gone` is done
    when nothing is left of the connection.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_error",
        "_idle_timeout",
        "_is_dropped",
        "_is_read_paused",
        "_loop",
        "_patience",
        "_reader",
        "_sender",
        "_silence",
        "_transport",
        "_unseen",
        "_waiting",
        "gone",
    )

    def __init__(self, idle_timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_timeout = idle_timeout
        self._patience: float | None = None
        self._reader = StreamedResponseReader()
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._waiting: asyncio.Future[None] | None = None
        self._is_read_paused = False
        self._sender: BodySender | None = None
        self._error: Exception | None = None
        self._unseen: Exception | None = None
        self._is_dropped = False
        self.gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been dropped."""
        return not self._is_dropped

    # What the stream does.

    def start(self, head: bytes, request: Request, source: WatchedBody | None) -> None:
        """Send the request: its head, and either its body or, from now on, what comes out of the source."""
        self._patience = request.patience
        self._transport.write(head)
        if request.body:
            self._transport.write(request.body)
        if source is None:
            self._be_patient()
        else:
            restart = self._silence.restart
            self._sender = BodySender(self._transport, source, restart, self._be_patient, self._fail_body)

    async def head(self) -> tuple[int, Headers]:
        """Return status and headers of the answer, as soon as they are there."""
        while (head := self._reader.head) is None:
            self._raise_error()
            await self._wait()
        return head

    async def next_chunk(self) -> bytes:
        """Return what has come of the answer's body; raises `StopAsyncIteration` after its end.

        A call that is cancelled has taken nothing.
        """
        while not self._chunks:
            self._raise_error()
            if self._reader.is_complete:
                raise StopAsyncIteration
            await self._wait()
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._is_read_paused and self._buffered <= _LOW:
            self._is_read_paused = False
            self._silence.restart()
            self._transport.resume_reading()
        return chunk

    def abort(self) -> None:
        """Break the exchange off; a body that ends here cannot be taken for a whole one."""
        self.fail(UpstreamFailed("The connection to the service is closed"))

    def fail(self, error: Exception) -> None:
        """Break the exchange off; whoever reads the answer gets the error, unless all of the answer has come."""
        if self._error is None and not self._reader.is_complete:
            self._error = error
        self._drop()

    async def aclose(self) -> None:
        """End the exchange, wherever it is; afterwards nothing takes from the source any more."""
        if self._error is None and (self._chunks or not self._reader.is_complete):
            self._error = UpstreamFailed("The stream is closed")
        self._chunks.clear()
        self._drop()
        if self._sender is not None:
            await self._sender.aclose()

    def raise_unseen(self) -> None:
        """Raise what the source raised, if no reader of the answer was told."""
        if self._unseen is not None:
            raise self._unseen

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_HIGH, _LOW)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # else megabytes wait unseen in the kernel, and look as if read
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _HIGH)
        unsent = self._transport.get_write_buffer_size
        self._silence = SilenceTimer(self._idle_timeout, self._is_services_turn, unsent, self._expire)

    def data_received(self, data: bytes) -> None:
        """Feed the answer; whatever follows it is not ours."""
        if self._is_dropped:
            return
        if self._reader.is_complete:
            self._drop()
            return
        self._silence.restart()
        error = None
        try:
            self._reader.feed(data)
        except UpstreamFailed as failure:
            error = failure
        self._keep(self._reader.take())
        if error is not None:
            self.fail(error)
        self._wake()

    def eof_received(self) -> None:
        """Take the end of the connection as the end of the answer, where it can be that."""
        if self._is_dropped:
            return
        try:
            self._reader.finish()
        except UpstreamFailed as error:
            self.fail(error)
        else:
            self._drop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Fail what was under way."""
        self.fail(UpstreamFailed("The service broke off before its answer was complete"))
        self._reader.release()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        """Send no more until the service has read."""
        if self._sender is not None:
            self._sender.pause()

    def resume_writing(self) -> None:
        """Go on."""
        if self._sender is not None:
            self._sender.resume()

    # The answer.

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(chunk)
            self._buffered += len(chunk)
            if self._buffered > _HIGH and not self._is_read_paused and not self._reader.is_complete:
                self._is_read_paused = True
                self._transport.pause_reading()

    async def _wait(self) -> None:
        """Wait until something has changed."""
        if self._waiting is not None:
            raise InternalError("A stream has two readers at once")
        self._waiting = self._loop.create_future()
        self._silence.restart()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _raise_error(self) -> None:
        if self._error is not None:
            if self._error is self._unseen:
                self._unseen = None
            raise self._error

    # The end.

    def _is_services_turn(self) -> bool:
        """Tell whether only the service can bring the exchange on.

        It cannot while the source has to give the next part, nor while nobody reads its answer: it may have to get rid
        of that before it reads on.
        """
        sender = self._sender
        if sender is not None and sender.awaits_service:
            return not self._is_read_paused
        return self._waiting is not None and (sender is None or not sender.awaits_source)

    def _be_patient(self) -> None:
        """Count from now on, as all of the request is on its way, and up to the bound that the request asks for."""
        if self._patience is None:
            self._silence.restart()
        else:
            self._silence.allow(self._patience)

    def _fail_body(self, error: Exception) -> None:
        if not self._is_dropped:
            self._unseen = error
            self.fail(error)

    def _expire(self) -> None:
        self.fail(UpstreamTimeout("The service did not answer in time"))

    def _drop(self) -> None:
        if not self._is_dropped:
            self._is_dropped = True
            self._silence.stop()
            if self._sender is not None:
                self._sender.cancel()
            if self._reader.is_complete and not self._transport.get_write_buffer_size():
                self._transport.close()
            else:
                self._transport.abort()
        self._wake()


class StreamedChunks(AsyncIterator[bytes]):
    """The body of an answer, as it comes. No generator: one that is cancelled ends, as if the answer had ended."""

    __slots__ = ("_connection",)

    def __init__(self, connection: StreamConnection) -> None:
        self._connection = connection

    def __anext__(self) -> Awaitable[bytes]:
        """Return the next part."""
        return self._connection.next_chunk()
