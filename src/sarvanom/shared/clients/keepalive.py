"""The gateway's hop: HTTP/1.1 over pooled connections, with little between a request and its bytes."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sarvanom.shared.clients.connection_pool import ConnectionPool, PoolLimits
from sarvanom.shared.clients.dialing import Address
from sarvanom.shared.clients.http_request import encode_head, encode_stream_head
from sarvanom.shared.clients.request_body import WatchedBody
from sarvanom.shared.clients.stream_connection import StreamedChunks
from sarvanom.shared.clients.stream_pool import StreamLimits, StreamPool
from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import UpstreamFailed
from sarvanom.shared.tls import FollowedContext

_REPEATABLE: Final = frozenset({"GET", "HEAD"})
_PORTS: Final = {"http": 80, "https": 443}
_DEFAULTS: Final = PoolLimits()
_STREAM_DEFAULTS: Final = StreamLimits()


class KeepAliveTransport(Transport):
    """Carries requests to one `http://host:port`, or `https://host:port`, for which `tls` is needed.

    Over TLS the service must prove that it is `server_name`, or else the host of the URL.

    `timeout` bounds a request from the wait for a connection to the last byte of its answer; a request that a service
    did not get, because it had just closed an idle connection, is sent once more if it is a GET or HEAD.
    `max_response_bytes` bounds an answer, its head included. Give `idle_timeout` a value below the service's own.

    A stream has a connection of its own beside the pool: both ways at once, at most `max_streams` of them, and given up
    when the service is silent for `stream_idle_timeout` seconds while it is its turn, or after its body for the
    request's own `patience`. To cancel a read of its chunks breaks nothing off.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        connect_timeout: float = _DEFAULTS.connect_timeout,
        max_connections: int = _DEFAULTS.connections,
        idle_timeout: float = _DEFAULTS.idle_timeout,
        max_response_bytes: int = _DEFAULTS.response_bytes,
        max_streams: int = _STREAM_DEFAULTS.streams,
        stream_idle_timeout: float = _STREAM_DEFAULTS.idle_timeout,
        tls: FollowedContext | None = None,
        server_name: str | None = None,
    ) -> None:
        origin = parse_origin(url)
        if origin.is_secure and tls is None:
            raise ValueError(f"{url!r} needs a context of TLS")
        self._host = origin.header
        address = Address(origin.host, origin.port, tls if origin.is_secure else None, server_name)
        limits = PoolLimits(max_connections, idle_timeout, connect_timeout, max_response_bytes)
        self._pool = ConnectionPool(address, limits)
        self._streams = StreamPool(address, StreamLimits(max_streams, stream_idle_timeout, connect_timeout))
        self._timeout = timeout

    async def send(self, request: Request) -> Response:
        """Return the answer; raises as the contract says, and `InternalError` if the request cannot be written."""
        head = encode_head(request, self._host)
        deadline = asyncio.get_running_loop().time() + self._timeout
        bodiless = request.method == "HEAD"
        pool = self._pool
        connection = await pool.take(deadline)
        try:
            return await connection.ask(head, request.body, bodiless=bodiless, deadline=deadline)
        except UpstreamFailed:
            if not connection.is_stale or request.method not in _REPEATABLE:
                raise
        finally:
            pool.release(connection)
        connection = await pool.take(deadline, fresh=True)
        try:
            return await connection.ask(head, request.body, bodiless=bodiless, deadline=deadline)
        finally:
            pool.release(connection)

    @asynccontextmanager
    async def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Hand the answer over as it comes; raises as the contract says, and `InternalError` as `send` does."""
        head = encode_stream_head(request, self._host, chunked=body is not None)
        source = None if body is None else WatchedBody(body)
        async with self._streams.connect() as connection:
            connection.start(head, request, source)
            status, headers = await connection.head()
            yield StreamedResponse(status, headers, StreamedChunks(connection))

    async def aclose(self) -> None:
        """Drop all connections; who waits for one gets `ServiceUnavailable`, who reads a stream `UpstreamFailed`."""
        await asyncio.gather(self._pool.aclose(), self._streams.aclose())


class Origin(NamedTuple):
    """What a URL of a service says: `header` is its `host` header."""

    host: str
    port: int
    header: bytes
    is_secure: bool


def parse_origin(url: str) -> Origin:
    """Return what the URL of a service says; raises `ValueError` if it is anything but scheme, host and port."""
    parts = urlsplit(url)
    plain = parts.scheme in _PORTS and parts.path in ("", "/") and "@" not in parts.netloc
    if not plain or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no URL of the form http://host:port or https://host:port")
    port = parts.port or _PORTS[parts.scheme]
    return Origin(parts.hostname, port, parts.netloc.encode("ascii"), parts.scheme == "https")
